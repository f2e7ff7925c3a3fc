// Package tokentest reads token streams as a client does, for tests. It shares
// no code with what writes them and is strict: what a stock client would only
// survive by luck is an error.
package tokentest

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/wire"
)

// Basis returns the content of a block that the client has.
type Basis func(block int32) ([]byte, error)

// Decoder is the client's end of a session.
type Decoder struct {
	r      *wire.Reader
	method token.Method
	v      wire.Version
	zstd   *zstdStream

	// Of the current file.
	basis  Basis
	out    []byte
	window []byte // what deflate can refer to
	last   int32
}

// NewDecoder returns a Decoder of the session's stream. None stands for plain
// tokens, whatever made the session plain.
func NewDecoder(r *wire.Reader, m token.Method, v wire.Version) *Decoder {
	return &Decoder{r: r, method: m, v: v}
}

// Close ends the session.
func (d *Decoder) Close() {
	if d.zstd != nil {
		d.zstd.stop()
	}
}

// File reads the tokens of one file, its end included, and returns its content.
func (d *Decoder) File(basis Basis) ([]byte, error) {
	d.basis, d.out, d.window, d.last = basis, []byte{}, d.window[:0], 0
	next := d.compressed
	if d.method == token.None {
		next = d.plain
	}
	for {
		end, err := next()
		if err == nil {
			err = d.r.Err()
		}
		if err != nil || end {
			return d.out, err
		}
	}
}

func (d *Decoder) plain() (end bool, err error) {
	n := d.r.Int("token", -math.MaxInt32, 32768)
	if n < 0 {
		return false, d.copyBlocks(-(n + 1), 0)
	}
	d.out = append(d.out, d.r.Bytes("literal", int(n), 32768)...)
	return n == 0, nil
}

// compressed reads what lies between two tokens, and the second one.
func (d *Decoder) compressed() (end bool, err error) {
	var run []byte
	chunks := 0
	flag := d.r.Byte()
	for ; flag&0xc0 == 0x40 && d.r.Err() == nil; flag = d.r.Byte() {
		n := int(flag&0x3f)<<8 | int(d.r.Byte())
		if n == 0 {
			return false, errors.New("item without data")
		}
		chunk := d.r.Bytes("item", n, 16383)
		if d.method == token.LZ4 {
			if err := d.unLZ4(chunk); err != nil {
				return false, err
			}
		}
		run = append(run, chunk...)
		chunks++
	}
	if d.r.Err() != nil {
		return false, d.r.Err()
	}
	if chunks > 0 {
		switch d.method {
		case token.Zlib, token.Zlibx:
			err = d.inflate(run)
		case token.Zstd:
			err = d.unZstd(run)
		}
		if err != nil {
			return false, fmt.Errorf("%v literals at %d: %w", d.method, len(d.out), err)
		}
	}
	return d.token(flag)
}

func (d *Decoder) token(flag byte) (end bool, err error) {
	switch {
	case flag == 0x00:
		return true, nil
	case flag == 0x20 || flag == 0x21:
		d.last = d.r.Int("block", 0, math.MaxInt32-1)
	case flag&0x80 != 0:
		d.last += int32(flag & 0x3f)
	default:
		return false, fmt.Errorf("flag byte %#x", flag)
	}
	more := 0
	if flag == 0x21 || flag&0xc0 == 0xc0 {
		if more = int(d.r.Short()); more == 0 {
			return false, errors.New("run without further blocks")
		}
	}
	first := d.last
	d.last += int32(more)
	return false, d.copyBlocks(first, more)
}

func (d *Decoder) copyBlocks(first int32, more int) error {
	if err := d.r.Err(); err != nil {
		return err
	}
	for i := range more + 1 {
		p, err := d.basis(first + int32(i))
		if err != nil {
			return err
		}
		d.out = append(d.out, p...)
		d.see(p)
	}
	return nil
}

// see puts a copied block into the window of zlib's inflater. Clients below
// protocol 31 take a long block in pieces of at most 65535 bytes, and do not
// step forward in it.
func (d *Decoder) see(block []byte) {
	if d.method != token.Zlib {
		return
	}
	for left := len(block); left > 0; {
		n := min(left, 65535)
		from := len(block) - left
		if d.v < 31 {
			from = 0
		}
		d.push(block[from : from+n])
		left -= n
	}
}

func (d *Decoder) push(p []byte) {
	if len(p) > 32768 {
		p = p[len(p)-32768:]
	}
	if drop := len(d.window) + len(p) - 32768; drop > 0 {
		d.window = append(d.window[:0], d.window[drop:]...)
	}
	d.window = append(d.window, p...)
}

// inflate decodes one stretch of literals. It begins and ends at a byte
// boundary between two blocks, so that nothing but the window connects it with
// what was before.
func (d *Decoder) inflate(run []byte) error {
	// The trailer that the sender left off, and a final empty block.
	r := flate.NewReaderDict(bytes.NewReader(append(run, "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)), d.window)
	p, err := io.ReadAll(r)
	if err == nil && len(p) == 0 {
		err = errors.New("items that inflate to nothing")
	}
	d.out = append(d.out, p...)
	d.push(p)
	return err
}

func (d *Decoder) unLZ4(block []byte) error {
	var buf [32768]byte
	n, err := lz4.UncompressBlock(block, buf[:])
	if err == nil && n == 0 {
		err = errors.New("item that decompresses to nothing")
	}
	d.out = append(d.out, buf[:n]...)
	return err
}

func (d *Decoder) unZstd(run []byte) error {
	if d.zstd == nil {
		var h zstd.Header
		if err := h.Decode(run); err != nil {
			return err
		}
		if h.WindowSize > 1<<27 {
			return fmt.Errorf("zstd: window of %d bytes", h.WindowSize)
		}
		d.zstd = newZstdStream()
	}
	p, err := d.zstd.decode(run)
	if err == nil && len(p) == 0 {
		err = errors.New("items that decompress to nothing")
	}
	d.out = append(d.out, p...)
	return err
}

// zstdStream decodes a frame that never ends. The decoder pulls its input, so
// it runs as a coroutine that pauses whenever it has used up what is there.
type zstdStream struct {
	in, out bytes.Buffer
	err     error
	pause   func() bool
	resume  func() (struct{}, bool)
	stop    func()
}

func newZstdStream() *zstdStream {
	s := new(zstdStream)
	s.resume, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.pause = func() bool { return yield(struct{}{}) }
		var z *zstd.Decoder
		if z, s.err = zstd.NewReader(struct{ io.Reader }{s}, zstd.WithDecoderConcurrency(1)); s.err == nil {
			_, s.err = z.WriteTo(&s.out)
			z.Close()
		}
	})
	return s
}

// Read is the decoder's input.
func (s *zstdStream) Read(p []byte) (int, error) {
	for s.in.Len() == 0 {
		if !s.pause() {
			return 0, io.EOF
		}
	}
	return s.in.Read(p)
}

// decode returns what p makes available.
func (s *zstdStream) decode(p []byte) ([]byte, error) {
	s.in.Write(p)
	s.out.Reset()
	if _, ok := s.resume(); !ok {
		return nil, fmt.Errorf("zstd frame ended: %w", errors.Join(io.ErrUnexpectedEOF, s.err))
	}
	return s.out.Bytes(), nil
}
