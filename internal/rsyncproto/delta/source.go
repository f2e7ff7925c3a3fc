package delta

import (
	"errors"
	"io"

	"rrserve/internal/rsyncproto/checksum"
)

// ErrShrunk is the read error of a file that became shorter while it was sent.
// rsync reports it as ENODATA, "No data available (61)".
var ErrShrunk = errors.New("the file is shorter than it was when it was opened")

// source reads a file once from front to back and adds what it reads to the
// checksum. What cannot be read is zero bytes.
type source struct {
	file      io.ReaderAt
	pos, size int64 // next byte to read, end
	sum       *checksum.File
	err       error // first read error

	panicked any // what ended the goroutine of ahead
}

// read fills p with the next bytes of the file and returns the part that it
// filled.
func (s *source) read(p []byte) []byte {
	p = p[:min(int64(len(p)), s.size-s.pos)]
	n := 0
	if s.err == nil {
		n, s.err = s.file.ReadAt(p, s.pos)
		switch {
		case n == len(p):
			s.err = nil
		case s.err == nil || s.err == io.EOF:
			s.err = ErrShrunk
		}
	}
	clear(p[n:])
	s.sum.Write(p)
	s.pos += int64(len(p))
	return p
}

// checksum appends what follows the tokens to dst: the sum of what was read, or
// after a read error one that is certainly wrong.
func (s *source) checksum(dst []byte) []byte {
	n := len(dst)
	dst = s.sum.Sum(dst)
	if s.err == nil {
		return dst
	}
	sum := dst[n:]
	zero := true
	for i, b := range sum {
		zero = zero && b == 0
		sum[i] = 0
	}
	if zero {
		sum[len(sum)-1] = 1
	}
	return dst
}

// chunkSize is how much is read at a time; aheadSize is the size from which on
// a file is read and hashed beside the sending.
const (
	chunkSize = 256 << 10
	aheadSize = 1 << 20
)

// buffers are the two that a Sender keeps. Each has room in front of what is
// read into it.
type buffers [2][]byte

// get returns n bytes of buffer i.
func (b *buffers) get(i, n int) []byte {
	if len(b[i]) < n {
		b[i] = make([]byte, max(n, chunkSize))
	}
	return b[i][:n]
}

// chunks yields the rest of the file piece by piece. Each piece stands in a
// buffer behind room bytes that the consumer may fill; it is valid until the
// loop goes on. At most chunk bytes come at a time.
//
// It is short enough to be inlined, so that a loop over it allocates nothing.
func (s *source) chunks(b *buffers, room, chunk int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) { s.each(b, room, chunk, yield) }
}

// each is the loop of chunks.
func (s *source) each(b *buffers, room, chunk int, yield func([]byte) bool) {
	left := s.size - s.pos
	chunk = int(min(int64(chunk), left))
	if left >= aheadSize {
		s.ahead(b, room, chunk, yield)
		return
	}
	for s.pos < s.size {
		p := b.get(0, room+chunk)
		if !yield(p[:room+len(s.read(p[room:]))]) {
			return
		}
	}
}

// ahead is each with the reading and hashing in a goroutine of its own, which
// is at most one buffer ahead and has ended when ahead returns.
func (s *source) ahead(b *buffers, room, chunk int, yield func([]byte) bool) {
	free, full := make(chan []byte, len(b)), make(chan []byte, len(b))
	for i := range b {
		free <- b.get(i, room+chunk)
	}
	go func() {
		// A panic belongs to the session whose file this is, not to the process.
		defer func() { s.panicked = recover(); close(full) }()
		for s.pos < s.size {
			p, ok := <-free
			if !ok {
				return
			}
			full <- p[:room+len(s.read(p[room:]))]
		}
	}()
	defer func() {
		close(free)
		for range full {
		}
		if s.panicked != nil {
			panic(s.panicked)
		}
	}()
	for p := range full {
		if !yield(p) {
			return
		}
		free <- p[:room+chunk]
	}
}
