package rsyncproto

import "io"

// The client's bytes are read ahead into up to this many buffers of this size, so
// that a client which writes before it reads is never held up, and so that
// lists can be sent while nothing is asked.
const (
	inboxBuffers = 8
	inboxSize    = 32 << 10
)

// inbox reads the client's stream ahead in its own goroutine, which ends with
// the stream. It flushes what was written before it waits.
type inbox struct {
	full  chan []byte
	empty chan []byte
	err   error // valid once full is closed
	cur   []byte
	whole []byte
	flush func() error
	waits waiting // of Read for the client

	panicked any // what ended pump; valid once full is closed
}

func newInbox(r io.Reader, flush func() error) *inbox {
	in := &inbox{
		full:  make(chan []byte, inboxBuffers),
		empty: make(chan []byte, inboxBuffers),
		flush: flush,
	}
	go in.pump(r)
	return in
}

func (in *inbox) pump(r io.Reader) {
	defer func() {
		// A panic belongs to the session that reads, not to the process.
		if r := recover(); r != nil {
			in.panicked = r
			close(in.full)
		}
	}()
	for made := 0; ; {
		var buf []byte
		if len(in.empty) > 0 || made == inboxBuffers {
			if buf = <-in.empty; buf == nil {
				return // closed
			}
		} else {
			buf = make([]byte, inboxSize)
			made++
		}
		n, err := r.Read(buf)
		for n == 0 && err == nil {
			n, err = r.Read(buf)
		}
		if n > 0 {
			in.full <- buf[:n] // never waits: there are no more buffers than places
		}
		if err != nil {
			in.err = err
			close(in.full)
			return
		}
	}
}

// close lets the reading goroutine end after its current read.
func (in *inbox) close() { close(in.empty) }

// ready reports whether Read would return at once.
func (in *inbox) ready() bool { return len(in.cur) > 0 || len(in.full) > 0 }

// Read implements io.Reader.
func (in *inbox) Read(p []byte) (int, error) {
	if len(in.cur) == 0 {
		if in.whole != nil {
			in.empty <- in.whole[:cap(in.whole)]
			in.whole = nil
		}
		if len(in.full) == 0 {
			if err := in.flush(); err != nil {
				return 0, err
			}
		}
		in.waits.begin()
		buf, ok := <-in.full
		in.waits.end(len(buf) >= minSent)
		switch {
		case !ok && in.panicked != nil:
			panic(in.panicked)
		case !ok:
			return 0, in.err
		}
		in.cur, in.whole = buf, buf
	}
	n := copy(p, in.cur)
	in.cur = in.cur[n:]
	return n, nil
}
