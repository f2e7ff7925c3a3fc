// Package sumcache remembers the checksums of files from one pull to the next,
// in a bbolt database. It implements checksum.Cache.
//
//	cache.go   the database: opened once, and switched off where it is damaged
//	record.go  what a checksum looks like in it
//
// A process that has given up its right to open files for writing can keep it:
// it reads a mapping of the file, writes with pwrite and fdatasync, and lets the
// file grow by writing at its end.
package sumcache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"rrserve/internal/rsyncproto/checksum"
)

const (
	// MaxSize bounds the file in bytes.
	MaxSize = 1 << 30
	// maxGeneration is how many checksums are stored before the older half of them
	// is dropped; what is still in use is carried over. Both halves fit into MaxSize,
	// in whatever order they were stored.
	maxGeneration = 2_000_000
	// maxPending is how many checksums wait in memory to be saved together. They
	// take about 100 bytes each.
	maxPending = 16384
	// lockTimeout is how long another server may hold the file.
	lockTimeout = time.Second
)

// top is the bucket that holds the generations, each a bucket whose name is its
// number. The version at its end belongs to the format of records.
var top = []byte("rrserve checksums 1")

var errForeign = errors.New("a database of something else")

// Cache is safe for concurrent use. It implements checksum.Cache.
type Cache struct {
	log    *slog.Logger
	most   uint64 // maxGeneration
	reader uint64 // hash of ReadAs

	// One goroutine at a time uses the database. It has locks of its own, which
	// stay locked when it panics.
	using  sync.Mutex
	db     *bbolt.DB
	broken bool // the database is damaged and not looked at any more

	storing sync.Mutex
	pending map[key]record
}

// Open opens the cache in the file of this name, which is made if it is not
// there. It fails when the file is something else, is damaged, or belongs to
// another process.
func Open(path string, log *slog.Logger) (c *Cache, err error) {
	c = &Cache{log: log, most: maxGeneration, pending: map[key]record{}}
	if err = c.try(func() error { return c.open(path) }); err != nil {
		return nil, refusal(err)
	}
	return c, nil
}

// Check finds what Open would refuse about a file that is not empty, and does not
// change it. One that another process has open passes.
func Check(path string) error {
	err := new(Cache).try(func() error {
		db, err := bbolt.Open(path, 0, &bbolt.Options{Timeout: 1, ReadOnly: true, PreLoadFreelist: true})
		if err != nil {
			return err
		}
		defer db.Close()
		return db.View(inspect)
	})
	if err == nil || errors.Is(err, bolterrors.ErrTimeout) {
		return nil
	}
	return refusal(err)
}

// refusal says what is wrong with a file that could not be opened.
func refusal(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errors.New("in use by another server")
	case errors.As(err, new(*fs.PathError)):
		return err
	}
	return fmt.Errorf("damaged, or not a file of checksums (%w); delete it, or name another one", err)
}

// inspect finds a database of something else, and pages that must not be used.
func inspect(tx *bbolt.Tx) error {
	if name, _ := tx.Cursor().First(); name != nil && string(name) != string(top) {
		return errForeign
	}
	return checkPages(tx)
}

func (c *Cache) open(path string) (err error) {
	c.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		MaxSize:      MaxSize,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		// The file grows by being written to, since it cannot be truncated in the
		// sandbox. That fdatasync saves its new length was a bug of ext4 until
		// Linux 3.7.
		NoGrowSync: true,
	})
	if err != nil {
		return err
	}
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if err := inspect(tx); err != nil {
			return err
		}
		_, err := tx.CreateBucketIfNotExists(top)
		return err
	})
	if err != nil {
		c.db.Close()
	}
	return err
}

// checkPages finds pages that say to be longer than the file. bbolt would take
// memory for each page that such a one seems to have, up to 2^32 of them, which ends
// the process and no recover can stop. The file is read from end to end, since the
// kernel reads its mapping one page at a time.
func checkPages(tx *bbolt.Tx) error {
	if _, err := tx.WriteTo(io.Discard); err != nil {
		return err
	}
	all := int(tx.Size()) / tx.DB().Info().PageSize
	for id := 0; ; id++ {
		page, err := tx.Page(id)
		switch {
		case err != nil || page == nil:
			return err
		case page.Type == "free": // its content is old
		case page.OverflowCount >= all-id:
			return fmt.Errorf("page %d of %d goes on for %d more", id, all, page.OverflowCount)
		default:
			id += page.OverflowCount
		}
	}
}

// Close saves what was stored and releases the file.
func (c *Cache) Close() error {
	c.Flush()
	c.using.Lock()
	defer c.using.Unlock()
	if c.broken {
		return nil
	}
	return c.try(c.db.Close)
}

// damage is what the database, or the kernel where the file is shorter than it
// should be, panicked with.
type damage struct{ cause any }

func (d damage) Error() string { return fmt.Sprint(d.cause) }

// try calls f, which uses the database, and turns panics into errors.
func (c *Cache) try(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			c.broken = true
			err = damage{r}
		}
	}()
	return f()
}

// use is try for a cache in service: once it is damaged, nothing is found in it.
func (c *Cache) use(f func() error) {
	c.using.Lock()
	defer c.using.Unlock()
	if c.broken {
		return
	}
	err := c.try(f)
	switch {
	case errors.As(err, new(damage)):
		c.log.Error("the checksum cache is damaged and not used any more; delete it and restart the server", "file", c.db.Path(), "err", err)
	case err != nil:
		c.log.Warn("checksums could not be saved", "file", c.db.Path(), "err", err)
	}
}

// ReadAs says with which rights this process reads files, in words that differ
// where the rights do: what another process could read is not known to it. It is
// called before the cache is used.
func (c *Cache) ReadAs(rights string) { c.reader = xxhash.Sum64String(rights) }

// Lookup implements checksum.Cache.
func (c *Cache) Lookup(id checksum.Identity) (sum []byte, ok bool) {
	k := newKey(c.reader, id)
	var old bool
	c.use(func() error {
		return c.db.View(func(tx *bbolt.Tx) error {
			generations := tx.Bucket(top).Cursor()
			for name, _ := generations.Last(); name != nil && sum == nil; name, _ = generations.Prev() {
				sum = record(generations.Bucket().Bucket(name).Get(k[:])).sum(k, id)
				old = old || sum == nil
			}
			return nil
		})
	})
	if sum != nil && old {
		c.store(k, newRecord(k, id, sum)) // carried over
	}
	return sum, sum != nil
}

// Store implements checksum.Cache.
func (c *Cache) Store(id checksum.Identity, sum []byte) {
	k := newKey(c.reader, id)
	c.store(k, newRecord(k, id, sum))
}

func (c *Cache) store(k key, r record) {
	c.storing.Lock()
	c.pending[k] = r
	full := len(c.pending) >= maxPending
	c.storing.Unlock()
	if full {
		c.Flush()
	}
}

// Flush implements checksum.Cache.
func (c *Cache) Flush() {
	c.storing.Lock()
	records := c.pending
	c.pending = map[key]record{}
	c.storing.Unlock()
	if len(records) == 0 {
		return
	}
	c.use(func() error {
		return c.db.Update(func(tx *bbolt.Tx) error { return c.save(tx.Bucket(top), records) })
	})
}

// save puts records into the newest generation. A full one is followed by
// another, and the one before it goes.
func (c *Cache) save(b *bbolt.Bucket, records map[key]record) error {
	name, _ := b.Cursor().Last()
	var g *bbolt.Bucket
	if name != nil {
		g = b.Bucket(name)
	}
	if g == nil || g.Sequence()+uint64(len(records)) > c.most {
		var err error
		if g, err = c.next(b, name); err != nil {
			return err
		}
	}
	g.FillPercent = 0.9 // they mostly come in order
	for _, k := range slices.SortedFunc(maps.Keys(records), key.compare) {
		if err := g.Put(k[:], records[k]); err != nil {
			return err
		}
	}
	// Counts what was stored, not what is there: a file that changes each day
	// counts each day.
	return g.SetSequence(g.Sequence() + uint64(len(records)))
}

// next makes the generation after that of the name last, and drops all but these
// two.
func (c *Cache) next(b *bbolt.Bucket, last []byte) (*bbolt.Bucket, error) {
	last = slices.Clone(last) // the original goes with the change
	for name, _ := b.Cursor().First(); name != nil && string(name) != string(last); name, _ = b.Cursor().First() {
		if err := b.DeleteBucket(slices.Clone(name)); err != nil {
			return nil, err
		}
	}
	return b.CreateBucket(following(last))
}
