package rsyncproto

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/vfs"
)

const (
	// sumBuffer is how much of a file is read at a time for its checksum.
	sumBuffer = 256 << 10
	// A checksum is remembered of a file that has not changed for settleTime. A
	// program that has the file mapped into its memory changes it without a trace
	// from the first write until the kernel has written the page to disk, which
	// takes half a minute; clocks of file systems tick in milliseconds.
	settleTime = time.Minute
	// Of so many remembered checksums one is compared with the file.
	verifyShare = 64
	// Large files are read one after the other where storage is slower than
	// slowStorage, in bytes a second, as disks are, which would have to move
	// their heads, and networks, which do not get faster: less than any flash
	// memory. What counts as large is sumBuffer, and it takes slowSample bytes to
	// tell.
	slowStorage = 200 << 20
	slowSample  = 32 << 20
)

// Sums counts the checksums of the file list (-c).
type Sums struct {
	Computed   int64 // of content that was read
	Remembered int64 // taken from Config.SumCache
	Verified   int64 // of Computed: those that were remembered too
	Differing  int64 // of Verified: those of files whose content is another, and whose times are the same
}

// summer computes the checksums of the file list. It implements flist.Summer.
type summer struct {
	s     *session
	pool  sync.Pool    // of *sumWork
	bytes atomic.Int64 // of large files, read
	took  atomic.Int64 // time for it in nanoseconds

	computed, remembered, verified, differing atomic.Int64
}

// sumWork is what computing one checksum needs.
type sumWork struct {
	hash *checksum.File
	buf  []byte
}

func newSummer(s *session) *summer {
	m := &summer{s: s}
	m.pool.New = func() any {
		return &sumWork{checksum.NewList(s.sums.List), make([]byte, sumBuffer)}
	}
	return m
}

// Sum implements flist.Summer.
func (m *summer) Sum(ctx context.Context, p vfs.Path, in *vfs.Info) []byte {
	if m.s.SumCache == nil || in.Size == 0 {
		sum, _ := m.compute(ctx, p)
		return sum
	}
	id := m.identity(in)
	known, ok := m.s.SumCache.Lookup(id)
	if ok && rand.Uint32N(verifyShare) != 0 {
		m.remembered.Add(1)
		return known
	}
	began := m.s.Now()
	sum, info := m.compute(ctx, p)
	switch {
	case sum == nil:
		return nil
	case ok && m.identity(info) == id:
		m.verified.Add(1)
		if bytes.Equal(sum, known) {
			return sum
		}
		m.differs(p, id)
	}
	if id = m.identity(info); settled(info, began) {
		m.s.SumCache.Store(id, sum)
	}
	return sum
}

// compute reads a file. It returns nil if that fails, and the file as it was
// when it was opened.
func (m *summer) compute(ctx context.Context, p vfs.Path) ([]byte, *vfs.Info) {
	f, err := m.s.open(p)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	w := m.pool.Get().(*sumWork)
	defer m.pool.Put(w)
	w.hash.Reset()
	for off, size := int64(0), f.Info().Size; off < size; {
		if ctx.Err() != nil {
			return nil, nil
		}
		n, err := m.readAt(f, w.buf[:min(sumBuffer, size-off)], off)
		w.hash.Write(w.buf[:n])
		if off += int64(n); err != nil && off < size {
			return nil, nil
		}
	}
	m.computed.Add(1)
	return w.hash.Sum(nil), f.Info()
}

// readAt is that of the file, and takes the time of large pieces.
func (m *summer) readAt(f *vfs.File, buf []byte, off int64) (int, error) {
	if len(buf) < sumBuffer {
		return f.ReadAt(buf, off)
	}
	start := time.Now()
	n, err := f.ReadAt(buf, off)
	m.took.Add(int64(time.Since(start)))
	m.bytes.Add(int64(n))
	return n, err
}

// Slow implements flist.Summer.
func (m *summer) Slow() bool {
	n := m.bytes.Load()
	return n >= slowSample && float64(n) < slowStorage*time.Duration(m.took.Load()).Seconds()
}

// differs tells about a file whose content is not what it was, unless it was
// changed while it was read.
func (m *summer) differs(p vfs.Path, id checksum.Identity) {
	info, err := m.s.FS.Lstat(p)
	if err != nil || m.identity(&info) != id {
		return
	}
	m.differing.Add(1)
	if m.s.SumDiffers != nil {
		m.s.SumDiffers(p)
	}
}

func (m *summer) identity(in *vfs.Info) checksum.Identity {
	return checksum.Identity{
		Dev: in.Dev, Ino: in.Ino, Size: in.Size, Mtime: nanoseconds(in.Mtime), Ctime: in.Ctime, Algorithm: m.s.sums.List,
	}
}

// nanoseconds wraps around in years that no file is from, where it is enough that
// times which differ stay different.
func nanoseconds(t vfs.Time) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// settled reports whether any change of a file's content after began shows in its
// times: they are some time ago, and the time of the last change is exact.
// File systems that only know the second (FAT, images, many in user space) often
// have another time in its place.
func settled(in *vfs.Info, began time.Time) bool {
	before := began.Add(-settleTime).UnixNano()
	return in.Ctime%1e9 != 0 && in.Ctime < before && nanoseconds(in.Mtime) < before
}

// counts returns what was done so far.
func (m *summer) counts() Sums {
	return Sums{m.computed.Load(), m.remembered.Load(), m.verified.Load(), m.differing.Load()}
}
