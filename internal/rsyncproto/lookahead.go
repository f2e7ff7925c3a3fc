package rsyncproto

import (
	"sync"
	"sync/atomic"
	"time"

	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// On storage that has to be waited for, the files that the next requests are for
// are opened and read while one is being sent, so that the waits go on at the same
// time. The requests stay where they are, and are answered one after the other as
// if nothing had been ahead.
const (
	// maxFetches is how many files of a session are fetched, or were and wait
	// for their turn.
	maxFetches = 32
	// maxFetched is how much of each is read, in bytes. The rest of a longer file
	// is read while it is sent.
	maxFetched = 128 << 10
	// slowFile is the time to open a file and for the first read, on the average,
	// from which on the storage is slow: several times what the kernel's caches
	// need.
	slowFile = 100 * time.Microsecond
	// maxCounted is what a file adds to the average at the most: one that waited
	// for long, as a busy processor makes it now and then, is no slow storage.
	maxCounted = 6 * slowFile
	// While the storage is not slow, one file in timedFiles is timed: reading the
	// clock takes a fiftieth of the time that a small file does.
	timedFiles = 8
)

// lookAhead is the files that were begun before their turn. It is used by the
// goroutine that runs the session.
type lookAhead struct {
	mean    time.Duration // of opened.took
	untimed int           // files since the last one that was timed
	begun   map[int32]*fetch
	limit   *FetchLimit
	running sync.WaitGroup
	this    opened // the file being sent, unless it was fetched
}

// opened is a file whose data are wanted.
type opened struct {
	*vfs.File
	begin []byte        // what was read before its turn
	timed bool          // took is to be known
	took  time.Duration // to open it and for the first read
	read  bool          // the first read is over
}

// ReadAt implements io.ReaderAt.
func (o *opened) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(o.begin)) {
		n = copy(p, o.begin[off:])
	}
	if n == len(p) {
		return n, nil
	}
	read := func() error {
		m, err := o.File.ReadAt(p[n:], off+int64(n))
		n += m
		return err
	}
	if o.read {
		err = read()
	} else {
		o.read = true
		err = o.time(read)
	}
	return n, err
}

// time calls f and adds how long it takes, if that is to be known.
func (o *opened) time(f func() error) error {
	if !o.timed {
		return f()
	}
	start := time.Now()
	err := f()
	o.took += time.Since(start)
	return err
}

// fetch is a file that is opened and read before its turn. If that fails, file is
// nil, and all is done again when its turn comes: the client hears of the file as
// it is then.
type fetch struct {
	done chan struct{}
	file *opened
	// panicked is what the goroutine panicked with: it belongs to the session, not
	// to the process.
	panicked any
}

// openNext opens the file that q asks for, and fetches those that the next
// requests ask for where that is worth it.
func (s *session) openNext(q *request) (*opened, error) {
	a := &s.fetched
	f := a.take(q.ndx)
	if a.mean > slowFile && len(a.begun) <= maxFetches*3/4 {
		s.fetchNext()
	}
	if f != nil {
		<-f.done
		if f.panicked != nil {
			panic(f.panicked)
		}
		if f.file != nil {
			return f.file, nil
		}
	}
	o := &a.this
	*o = opened{timed: a.due()}
	err := o.time(func() (err error) {
		o.File, err = s.open(q.entry.Path())
		return err
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// fetchNext begins to fetch the files of the requests that have arrived. What it
// cannot make sense of will be dealt with when its turn comes.
func (s *session) fetchNext() {
	if s.in.ready() {
		s.r.Gather()
	}
	r := s.r.Ahead()
	for len(s.fetched.begun) < maxFetches {
		ndx := r.Ndx(s.v)
		switch {
		case r.Err() != nil:
			return
		case ndx == wire.NdxDone:
			continue
		case ndx == wire.NdxDelStats && s.v.DelStats():
			readDelStats(r)
			continue
		}
		q := request{ndx: ndx}
		isItem, err := s.readRequest(r, &q)
		if err != nil {
			return
		}
		if isItem && q.transfer() && !s.fetchFor(r, &q) {
			return
		}
	}
}

// fetchFor begins to fetch the file that q asks for, and passes over the rest of
// the request.
func (s *session) fetchFor(r *wire.Reader, q *request) bool {
	if !q.regular() {
		return false
	}
	head, err := delta.ReadHead(r, s.v, s.sums.Transfer.Size())
	if err != nil || !s.fetched.begin(s, q) {
		return false
	}
	if !s.appends(q.entry) {
		r.Skip(int64(head.Count) * int64(4+head.S2Length))
	}
	return true
}

// begin begins a fetch unless it was begun before. It reports whether there is
// room for it.
func (a *lookAhead) begin(s *session, q *request) bool {
	if a.begun[q.ndx] != nil {
		return true
	}
	if !s.Fetches.take() {
		return false
	}
	if a.begun == nil {
		a.begun, a.limit = make(map[int32]*fetch), s.Fetches
	}
	f := &fetch{done: make(chan struct{})}
	a.begun[q.ndx] = f
	path := q.entry.Path()
	a.running.Go(func() {
		defer close(f.done)
		defer func() { f.panicked = recover() }()
		f.file = fetchFile(s.open, path)
	})
	return true
}

// fetchFile opens a file and reads its first bytes; nil if it cannot. What was
// read whole holds no descriptor.
func fetchFile(open func(vfs.Path) (*vfs.File, error), p vfs.Path) *opened {
	start := time.Now()
	file, err := open(p)
	if err != nil {
		return nil
	}
	size := file.Info().Size
	begin := make([]byte, min(size, maxFetched))
	n, _ := file.ReadAt(begin, 0)
	if n < len(begin) || int64(n) == size {
		file.Close()
	}
	if n < len(begin) {
		return nil
	}
	return &opened{File: file, begin: begin, timed: true, took: time.Since(start), read: true}
}

// take hands over the fetch for the index, nil if there is none.
func (a *lookAhead) take(ndx int32) *fetch {
	f := a.begun[ndx]
	if f != nil {
		delete(a.begun, ndx)
		a.limit.give()
	}
	return f
}

// due reports whether the next file is to be timed.
func (a *lookAhead) due() bool {
	if a.untimed++; a.mean < slowFile/2 && a.untimed < timedFiles {
		return false
	}
	a.untimed = 0
	return true
}

// note learns how long a file took.
func (a *lookAhead) note(o *opened) {
	if o.timed {
		a.mean += (min(o.took, maxCounted) - a.mean) / 8
	}
}

// close waits until nothing is fetched any more and closes what was.
func (a *lookAhead) close() {
	a.running.Wait()
	for ndx := range a.begun {
		if f := a.take(ndx); f.file != nil {
			f.file.Close()
		}
	}
}

// FetchLimit is how many files the sessions of a server may have fetched before
// their turn: of each, 128 KiB of memory, a descriptor and a thread.
type FetchLimit struct{ left atomic.Int64 }

// NewFetchLimit returns a FetchLimit of so many files.
func NewFetchLimit(files int) *FetchLimit {
	l := &FetchLimit{}
	l.left.Store(int64(files))
	return l
}

// take takes one file, if there is one left.
func (l *FetchLimit) take() bool {
	if l == nil || l.left.Add(-1) >= 0 {
		return true
	}
	l.left.Add(1)
	return false
}

func (l *FetchLimit) give() {
	if l != nil {
		l.left.Add(1)
	}
}
