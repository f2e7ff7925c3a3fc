package delta

import (
	"io"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/token"
)

// Sender sends files, one after the other. It keeps its buffers, about half a
// megabyte, from one to the next.
type Sender struct {
	file  *checksum.File
	block *checksum.Block
	src   source // the file being sent
	buf   buffers
	// Of searches: the memory of one filter, and what goes from one buffer to the
	// next.
	filter *smallFilter
	tail   []byte
	sum    [checksum.MaxSize]byte
}

// NewSender returns a Sender of a session that uses the checksum c.
func NewSender(c checksum.Config) *Sender {
	return &Sender{file: checksum.NewFile(c), block: checksum.NewBlock(c)}
}

// Result says how the sending of one file went.
type Result struct {
	// Sum is what follows the tokens, Algorithm.Size bytes. It is valid until the
	// next file.
	Sum []byte
	// ReadErr is set when the file could not be read up to its size. The rest went
	// out as zero bytes, and Sum is wrong on purpose: the client asks again.
	ReadErr error
	Literal int64 // bytes sent as they are
	Matched int64 // bytes sent as block numbers
	// Blocks counts the blocks sent as numbers, Hits the places in the file with
	// the weak sum of some block, FalseAlarms the blocks that had the weak sum of
	// a place and not its strong one.
	Blocks, Hits, FalseAlarms int64
}

// Whole sends all size bytes of the file as literals.
func (s *Sender) Whole(file io.ReaderAt, size int64, out token.Writer) (Result, error) {
	return s.literals(s.source(file, 0, size), 0, nil, out)
}

// Append sends the bytes from offset from to size; an offset beyond size
// stands for size (section 4.9). The checksum covers what is sent, with verify
// set (--append-verify) also what stands before it. While that is read nothing is
// written, which would find out that the client is gone: gone says so by an error.
func (s *Sender) Append(file io.ReaderAt, size, from int64, verify bool, gone func() error, out token.Writer) (Result, error) {
	from = min(from, size)
	start := from
	if verify {
		start = 0
	}
	return s.literals(s.source(file, start, size), from-start, gone, out)
}

func (s *Sender) source(file io.ReaderAt, pos, size int64) *source {
	s.file.Reset()
	s.src = source{file: file, pos: pos, size: size, sum: s.file}
	return &s.src
}

// literals sends what src yields, without its first skip bytes, for which it asks
// gone.
func (s *Sender) literals(src *source, skip int64, gone func() error, out token.Writer) (Result, error) {
	var r Result
	for p := range src.chunks(&s.buf, 0, chunkSize) {
		n := min(skip, int64(len(p)))
		skip -= n
		if p = p[n:]; len(p) == 0 {
			if err := gone(); err != nil {
				return Result{}, err
			}
			continue
		}
		if err := out.Literal(p); err != nil {
			return Result{}, err
		}
		r.Literal += int64(len(p))
	}
	return s.end(r, src, out)
}

// end completes the answer whose data was sent.
func (s *Sender) end(r Result, src *source, out token.Writer) (Result, error) {
	if err := out.End(); err != nil {
		return Result{}, err
	}
	r.ReadErr = src.err
	r.Sum = src.checksum(s.sum[:0])
	return r, nil
}
