package rsyncproto

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/sumcache"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// fakeCache is a checksum.Cache in memory, which never forgets.
type fakeCache struct {
	mu      sync.Mutex
	sums    map[checksum.Identity][]byte
	flushed int
}

func (c *fakeCache) Lookup(id checksum.Identity) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum, ok := c.sums[id]
	return sum, ok
}

func (c *fakeCache) Store(id checksum.Identity, sum []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sums[id] = sum
}

func (c *fakeCache) Flush() { c.flushed++ }

// sumNow is the time of the sessions here.
var sumNow = time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)

// sumFile is a file that last changed a while before sumNow.
func sumFile(ino uint64, data string, ago time.Duration) vfstest.Node {
	changed := sumNow.Add(-ago)
	return vfstest.Node{Data: []byte(data), Info: vfs.Info{
		Mode: vfs.ModeRegular | 0o644, Dev: 1, Ino: ino,
		Mtime: vfs.Time{Sec: changed.Unix()}, Ctime: changed.UnixNano(),
	}}
}

// sumRun lists a tree with -c for a client that wants MD5 and nothing else. told
// counts the files that were said to differ.
func sumRun(t *testing.T, tree vfs.FS, cache checksum.Cache) (sent []byte, told int, res Result) {
	t.Helper()
	var in, out bytes.Buffer
	w := wire.NewWriter(&in)
	w.Int(31)
	w.Vstring([]byte("md5"))
	w.Frame()
	w.Int(0)
	for range 5 {
		w.Ndx(31, wire.NdxDone)
	}
	w.Flush()
	var mu sync.Mutex
	res = Serve(context.Background(), Config{
		Command: "rsync --server --sender -rce.LsfxCIvu . .", FS: tree, SumCache: cache,
		SumDiffers: func(vfs.Path) { mu.Lock(); told++; mu.Unlock() },
		Stdin:      &in, Stdout: &out, Stderr: &bytes.Buffer{}, Abort: func() {}, Seed: 1,
		Now: func() time.Time { return sumNow },
	})
	data, messages, _ := frames(t, out.Bytes(), handshakeLen(t, out.Bytes(), 1), -1)
	if res.Err != nil || len(messages) > 0 {
		t.Fatalf("%+v, %q", res, messages)
	}
	return data, told, res
}

func md5Of(data string) []byte {
	sum := md5.Sum([]byte(data))
	return sum[:]
}

// What is remembered, and when it is believed.
func TestSumCache(t *testing.T) {
	const hour = time.Hour + time.Nanosecond // a whole second is no exact time
	wrong := []byte("0123456789abcdef")
	for _, c := range []struct {
		name         string
		file         vfstest.Node
		change       func(*vfs.Info) // after the checksum was remembered
		sent         []byte
		remembered   bool
		storedBefore bool // whether the first pull remembers the file
	}{
		{"the same", sumFile(1, "data", hour), nil, md5Of("data"), true, true},
		{"attributes changed", sumFile(1, "data", hour), func(in *vfs.Info) { in.Ctime++ }, md5Of("data"), false, true},
		{"another inode", sumFile(1, "data", hour), func(in *vfs.Info) { in.Ino++ }, md5Of("data"), false, true},
		{"another device", sumFile(1, "data", hour), func(in *vfs.Info) { in.Dev++ }, md5Of("data"), false, true},
		{"another mtime", sumFile(1, "data", hour), func(in *vfs.Info) { in.Mtime.Nsec++ }, md5Of("data"), false, true},
		{"just settled", sumFile(1, "data", settleTime+time.Nanosecond), nil, md5Of("data"), true, true},
		{"not settled", sumFile(1, "data", settleTime-time.Nanosecond), nil, md5Of("data"), false, false},
		{"from the future", sumFile(1, "data", -hour), nil, md5Of("data"), false, false},
		{"mtime from the future", func() vfstest.Node {
			n := sumFile(1, "data", hour)
			n.Info.Mtime.Sec += 7200
			return n
		}(), nil, md5Of("data"), false, false},
		{"whole seconds", sumFile(1, "data", time.Hour), nil, md5Of("data"), false, false},
		{"unreadable", func() vfstest.Node {
			n := sumFile(1, "data", hour)
			n.Errno = vfs.EACCES
			return n
		}(), nil, make([]byte, 16), false, false},
		{"empty", sumFile(1, "", hour), nil, md5Of(""), false, false},
	} {
		tree := vfstest.NewMemory()
		node := tree.Add("file", c.file)
		cache := &fakeCache{sums: map[checksum.Identity][]byte{}}
		sent, _, res := sumRun(t, tree, cache)
		if !bytes.Contains(sent, c.sent) || res.Sums.Remembered != 0 || cache.flushed != 1 {
			t.Errorf("%s: %+v, flushed %d times, sent % x", c.name, res.Sums, cache.flushed, sent)
		}
		if stored := len(cache.sums) > 0; stored != c.storedBefore {
			t.Errorf("%s: stored %t", c.name, stored)
		}
		for id := range cache.sums {
			cache.sums[id] = wrong // to tell it from what is computed
		}
		if c.change != nil {
			c.change(&node.Info)
		}
		// Now and then what is remembered is compared with the file.
		for verified := int64(1); verified > 0; verified = res.Sums.Verified {
			sent, _, res = sumRun(t, tree, cache)
			for id := range cache.sums {
				if !c.remembered || res.Sums.Verified > 0 {
					cache.sums[id] = wrong
				}
			}
		}
		want := c.sent
		if c.remembered {
			want = wrong
		}
		if !bytes.Contains(sent, want) || (res.Sums.Remembered > 0) != c.remembered {
			t.Errorf("%s, again: %+v, sent % x, want % x", c.name, res.Sums, sent, want)
		}
	}
}

// A share of what is remembered is compared with the files. Where they differ the
// client gets what is there, somebody is told, and the new checksum is
// remembered, unless the file was changed meanwhile.
func TestSumsDiffer(t *testing.T) {
	const files = 40 * verifyShare
	tree := vfstest.NewMemory()
	for i := range files {
		tree.Add(fmt.Sprintf("%d", i), sumFile(uint64(i), fmt.Sprintf("content %d", i), time.Hour+time.Nanosecond))
	}
	cache := &fakeCache{sums: map[checksum.Identity][]byte{}}
	sumRun(t, tree, cache)
	wrong := []byte("0123456789abcdef")
	for id := range cache.sums {
		cache.sums[id] = wrong
	}
	sent, told, res := sumRun(t, tree, cache)
	n := res.Sums.Verified
	if n < 5 || n > files/8 || res.Sums != (Sums{Computed: n, Remembered: files - n, Verified: n, Differing: n}) || int64(told) != n {
		t.Errorf("%+v, %d told", res.Sums, told)
	}
	fresh := int64(0)
	for id, sum := range cache.sums {
		if want := md5Of(fmt.Sprintf("content %d", id.Ino)); bytes.Equal(sum, want) && bytes.Contains(sent, want) {
			fresh++
		}
	}
	if fresh != n {
		t.Errorf("%d were sent and remembered anew, %d differ", fresh, n)
	}
	_, told, res = sumRun(t, &changing{Memory: tree}, cache)
	if res.Sums.Verified == 0 || res.Sums.Differing != 0 || told != 0 {
		t.Errorf("changed meanwhile: %+v, %d told", res.Sums, told)
	}
	// What was changed before it was opened says nothing of what was remembered.
	_, told, res = sumRun(t, &changed{Memory: tree}, cache)
	if res.Sums.Computed == 0 || res.Sums.Verified != 0 || told != 0 {
		t.Errorf("changed since it was listed: %+v, %d told", res.Sums, told)
	}
}

// A real file that gets another content of the same size and, by its times, no
// later: the kernel tells.
func TestSumCacheOfRealFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := jail.Open(dir)
	must(err)
	defer root.Close()
	tree := vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(root, "/")), vfs.Flags{NoFollow: jail.NoFollow})
	cache, err := sumcache.Open(filepath.Join(t.TempDir(), "sums"), slog.New(slog.DiscardHandler))
	must(err)
	defer cache.Close()
	defer func(now time.Time) { sumNow = now }(sumNow)
	sumNow = time.Now().Add(time.Hour)
	mtime := time.Unix(1e9, 1)
	must(os.WriteFile(name, []byte("before"), 0o644))
	must(os.Chtimes(name, mtime, mtime))
	remembered := func(want bool, data string) {
		t.Helper()
		var sent []byte
		var res Result
		for verified := int64(1); verified > 0; verified = res.Sums.Verified {
			sent, _, res = sumRun(t, tree, cache)
		}
		if (res.Sums.Remembered > 0) != want || !bytes.Contains(sent, md5Of(data)) {
			t.Errorf("%s: %+v, sent % x", data, res.Sums, sent)
		}
	}
	remembered(false, "before")
	remembered(true, "before")
	file, err := vfs.ParsePath("file")
	must(err)
	old, err := tree.Lstat(file)
	must(err)
	for in := old; in.Ctime == old.Ctime; { // until the file system's clock has ticked
		must(os.WriteFile(name, []byte("after."), 0o644))
		must(os.Chtimes(name, mtime, mtime))
		in, err = tree.Lstat(file)
		must(err)
		if in.Size != old.Size || in.Mtime != old.Mtime {
			t.Fatalf("%+v, before %+v", in, old)
		}
	}
	remembered(false, "after.")
	remembered(true, "after.")
}

// changing is a tree whose files have changed when they are looked at again.
type changing struct{ *vfstest.Memory }

func (c *changing) Lstat(p vfs.Path) (vfs.Info, error) {
	in, err := c.Memory.Lstat(p)
	in.Ctime++
	return in, err
}

// changed is a tree whose files have changed when they are opened.
type changed struct{ *vfstest.Memory }

func (c *changed) Open(p vfs.Path) (*vfs.File, error) {
	f, err := c.Memory.Open(p)
	if err != nil {
		return nil, err
	}
	in := *f.Info()
	in.Ctime++
	return vfs.NewFile(p, f, f, in), nil
}
