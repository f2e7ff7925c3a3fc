package flist

import (
	"iter"
	"sync"
	"time"

	"rrserve/internal/vfs"
)

// On storage that has to be waited for, the next directories are read while one
// is being sent, so that the waits go on at the same time.
const (
	// maxReadAhead is how many directories are read, or were read and are not
	// sent yet, beside the one that is wanted.
	maxReadAhead = 8
	// maxReadEntries is how many entries may wait to be sent, as far as can be
	// foreseen, before no other directory is begun. They take 136 bytes each.
	maxReadEntries = 10_000
	// A directory took long if it was waited for longer than this and this much
	// for each entry, several times what the kernel's caches need.
	slowDir   = 200 * time.Microsecond
	slowEntry = 5 * time.Microsecond
	// slowDirs in a row that took long are the storage and no accident: a busy
	// processor delays one now and then.
	slowDirs = 3
	// maxKept bounds the memory that is kept from one listing to the next, in
	// entries.
	maxKept = 4096
)

// readAhead reads directories in the order in which they are wanted. Unless
// they take long it reads just these, in the caller's goroutine. It is used by
// one goroutine.
type readAhead struct {
	fs      vfs.FS
	slow    int // how many of the last ones in a row took long
	size    int // number of entries of the last one
	begun   map[vfs.Path]*listing
	running sync.WaitGroup

	lent  []vfs.Info   // what ReadDir returned last
	spare [][]vfs.Info // memory for others
	kept  int          // sum of the capacities of spare
}

// listing is a directory that is being read.
type listing struct {
	done  chan struct{}
	infos []vfs.Info
	err   error
	took  time.Duration
	// panicked is what the reading goroutine panicked with: it belongs to the
	// session that waits for the listing, not to the process.
	panicked any
}

func (l *listing) read(fs vfs.FS, p vfs.Path, buf []vfs.Info) {
	start := time.Now()
	l.infos, l.err = fs.ReadDir(p, buf)
	l.took = time.Since(start)
}

func (l *listing) wasSlow() bool {
	return l.took > slowDir+time.Duration(len(l.infos))*slowEntry
}

// ended reports whether the directory has been read.
func (l *listing) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// ReadDir is that of the FS; what it returns is valid until the next call. The
// directories in next will be wanted after p, the first ones soonest.
func (r *readAhead) ReadDir(p vfs.Path, next iter.Seq[vfs.Path]) ([]vfs.Info, error) {
	r.keep(r.lent)
	l, ok := r.begun[p]
	delete(r.begun, p)
	if r.slow >= slowDirs {
		r.begin(next)
	}
	if ok {
		<-l.done
		if l.panicked != nil {
			panic(l.panicked)
		}
	} else {
		l = &listing{}
		l.read(r.fs, p, r.memory())
	}
	r.size, r.lent = len(l.infos), l.infos
	if r.slow++; !l.wasSlow() {
		r.slow = 0
	}
	return l.infos, l.err
}

// keep keeps the memory of a listing that is not used any more.
func (r *readAhead) keep(infos []vfs.Info) {
	if n := cap(infos); n > 0 && r.kept+n <= maxKept {
		r.spare = append(r.spare, infos[:0])
		r.kept += n
	}
}

// memory returns what was kept, nil if nothing was.
func (r *readAhead) memory() []vfs.Info {
	n := len(r.spare)
	if n == 0 {
		return nil
	}
	infos := r.spare[n-1]
	r.spare = r.spare[:n-1]
	r.kept -= cap(infos)
	return infos
}

// begin starts to read the first directories in next.
func (r *readAhead) begin(next iter.Seq[vfs.Path]) {
	var soon []vfs.Path
	for p := range next {
		if soon = append(soon, p); len(soon) == maxReadAhead {
			break
		}
	}
	entries := r.forget(soon)
	for _, p := range soon {
		if len(r.begun) >= maxReadAhead || entries >= maxReadEntries {
			return
		}
		if r.begun[p] == nil {
			r.start(p)
			entries += r.size
		}
	}
}

// forget drops what was read and is not wanted soon any more, since directories
// came to light that are wanted before it: it is read again then, from the
// kernel's caches. It returns the number of entries that remain; directories
// that are still being read count like the last one.
func (r *readAhead) forget(soon []vfs.Path) (entries int) {
	wanted := make(map[vfs.Path]bool, len(soon))
	for _, p := range soon {
		wanted[p] = true
	}
	for p, l := range r.begun {
		switch {
		case !l.ended():
			entries += r.size
		case wanted[p]:
			entries += len(l.infos)
		default:
			delete(r.begun, p)
			r.keep(l.infos)
		}
	}
	return entries
}

func (r *readAhead) start(p vfs.Path) {
	if r.begun == nil {
		r.begun = map[vfs.Path]*listing{}
	}
	l := &listing{done: make(chan struct{})}
	buf := r.memory()
	r.begun[p] = l
	r.running.Go(func() {
		defer close(l.done)
		defer func() { l.panicked = recover() }()
		l.read(r.fs, p, buf)
	})
}

// close waits until nothing is read any more.
func (r *readAhead) close() { r.running.Wait() }
