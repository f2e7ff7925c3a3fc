package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// RangeError is a number or a length of the peer outside its bounds.
type RangeError struct {
	What     string
	Got      int64
	Min, Max int64
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("%s %d is not in %d..%d", e.What, e.Got, e.Min, e.Max)
}

// FrameError is a frame that a client never sends.
type FrameError struct {
	Code   Code
	Length int
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("unexpected message: tag %d, %d bytes", e.Code, e.Length)
}

// PeerExit is the client's word that it ended with an error (MSG_ERROR_EXIT).
type PeerExit struct{ Code int32 }

func (e *PeerExit) Error() string { return fmt.Sprintf("the client ended with code %d", e.Code) }

// ErrBadNumber is a variable-length number whose first byte announces more
// bytes than the type has.
var ErrBadNumber = errors.New("malformed variable-length number")

// Reader decodes the stream of the client.
type Reader struct {
	src    *bufio.Reader
	framed bool
	left   int // bytes left in the current data frame
	ndx    ndxState
	n      int64
	err    error
	buf    [16]byte // number being decoded; a field, so that it is not allocated
}

// NewReader returns a Reader of plain bytes; Frame switches to frames. It
// reads ahead of what it decodes.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: bufio.NewReaderSize(r, 32<<10), ndx: newNdxState()}
}

// ResetCount makes Count start anew.
func (r *Reader) ResetCount() { r.n = 0 }

// Frame switches between plain bytes and frames. Only between two frames.
func (r *Reader) Frame(on bool) {
	if r.left != 0 {
		r.fail(errors.New("data left in a frame where plain bytes begin"))
	}
	r.framed = on
}

// Err returns the first error. A stream that ends is io.ErrUnexpectedEOF,
// since every end of the protocol is announced.
func (r *Reader) Err() error { return r.err }

// Count returns the number of bytes consumed, frame headers included.
func (r *Reader) Count() int64 { return r.n }

// Buffered reports whether a read would be served without waiting for the
// peer, as far as can be told.
func (r *Reader) Buffered() bool { return r.left > 0 && r.src.Buffered() > 0 || r.src.Buffered() > 4 }

// Gather takes what the stream has next beside what is buffered, if there is
// room. It waits for the peer if nothing is there.
func (r *Reader) Gather() {
	if n := r.src.Buffered(); n < r.src.Size() {
		r.src.Peek(n + 1) // an error comes again with the read that needs the byte
	}
}

// Ahead returns a Reader of what is buffered and not decoded. What it decodes is
// still to be decoded by r. It never waits: where the buffer ends, it fails. It is
// valid until r is used.
func (r *Reader) Ahead() *Reader {
	a := *r
	p, _ := r.src.Peek(r.src.Buffered())
	a.src = bufio.NewReaderSize(bytes.NewReader(p), 512)
	return &a
}

func (r *Reader) fail(err error) {
	if r.err == nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		r.err = err
	}
}

func (r *Reader) raw(p []byte) {
	if r.err != nil {
		clear(p)
		return
	}
	n, err := io.ReadFull(r.src, p)
	r.n += int64(n)
	if err != nil {
		clear(p)
		r.fail(err)
	}
}

// nextFrame reads headers until a data frame with payload begins, and deals
// with the messages between them.
func (r *Reader) nextFrame() {
	for r.left == 0 && r.err == nil {
		h := r.buf[12:16]
		r.raw(h)
		if r.err != nil {
			return
		}
		word := binary.LittleEndian.Uint32(h)
		length := int(word & 0xffffff)
		code := Code(word>>24) - codeOffset
		switch {
		case code == Data:
			r.left = length
		case code == Noop && length == 0:
		case (code == IOError || code == Success) && length == 4:
			// 3.0.x clients send our I/O errors back; nothing to do.
			r.raw(h)
		case code == ErrorExit && (length == 0 || length == 4):
			clear(h)
			if length == 4 {
				r.raw(h)
			}
			if r.err == nil {
				r.err = &PeerExit{int32(binary.LittleEndian.Uint32(h))}
			}
		case (code == ErrorXfer || code == Info || code == Error || code == Warning) && length < 5120:
			r.discard(length)
		default:
			r.fail(&FrameError{code, length})
		}
	}
}

func (r *Reader) discard(n int) {
	m, err := r.src.Discard(n)
	r.n += int64(m)
	if err != nil {
		r.fail(err)
	}
}

// Full fills p.
func (r *Reader) Full(p []byte) {
	if !r.framed {
		r.raw(p)
		return
	}
	for len(p) > 0 {
		if r.left == 0 {
			r.nextFrame()
		}
		if r.err != nil {
			clear(p)
			return
		}
		n := min(len(p), r.left)
		r.raw(p[:n])
		r.left -= n
		p = p[n:]
	}
}

// Skip drops n bytes of data.
func (r *Reader) Skip(n int64) {
	for n > 0 && r.err == nil {
		m := int(min(n, 1<<20))
		if r.framed {
			if r.left == 0 {
				r.nextFrame()
				continue
			}
			m = min(m, r.left)
			r.left -= m
		}
		r.discard(m)
		n -= int64(m)
	}
}

func (r *Reader) bounded(what string, v, lo, hi int64) int64 {
	if r.err == nil && (v < lo || v > hi) {
		r.err = &RangeError{what, v, lo, hi}
	}
	if r.err != nil {
		return 0
	}
	return v
}

// Byte reads one byte; every value is legal.
func (r *Reader) Byte() byte {
	r.Full(r.buf[:1])
	return r.buf[0]
}

// Short reads two bytes, little endian; every value is legal.
func (r *Reader) Short() uint16 {
	r.Full(r.buf[:2])
	return binary.LittleEndian.Uint16(r.buf[:])
}

// Uint32 reads four bytes of which every value is legal, such as a weak sum.
func (r *Reader) Uint32() uint32 {
	r.Full(r.buf[:4])
	return binary.LittleEndian.Uint32(r.buf[:])
}

// Int reads a 4-byte signed number in lo..hi.
func (r *Reader) Int(what string, lo, hi int32) int32 {
	return int32(r.bounded(what, int64(int32(r.Uint32())), int64(lo), int64(hi)))
}

// Varint reads a varint in lo..hi.
func (r *Reader) Varint(what string, lo, hi int32) int32 {
	return int32(r.bounded(what, int64(int32(r.varnum(1, 4))), int64(lo), int64(hi)))
}

// Varlong reads a varlong of at least m bytes in lo..hi.
func (r *Reader) Varlong(what string, m int, lo, hi int64) int64 {
	return r.bounded(what, r.varnum(m, 8), lo, hi)
}

// varnum reads a number of at least m and at most w value bytes (section 4).
func (r *Reader) varnum(m, w int) int64 {
	b := r.buf[:9]
	clear(b)
	r.Full(b[:m])
	first := b[0]
	extra := bits.LeadingZeros8(^first)
	if m > 1 {
		extra = min(extra, 6) // INT_BYTE_EXTRA has no larger entry
	}
	if m+extra > w+1 {
		r.fail(ErrBadNumber)
		return 0
	}
	r.Full(b[m : m+extra])
	if r.err != nil {
		return 0
	}
	// What the length bits leave of the first byte is the most significant
	// part; the other bytes follow from the least significant one.
	var v uint64
	if m+extra <= w {
		v = uint64(first&(0xff>>(extra+1))) << (8 * (m + extra - 1))
	}
	for i := m + extra - 1; i >= 1; i-- {
		v |= uint64(b[i]) << (8 * (i - 1))
	}
	return int64(v)
}

// Longint reads the 64-bit number of protocols below 30 in lo..hi.
func (r *Reader) Longint(what string, lo, hi int64) int64 {
	v := int64(int32(r.Uint32()))
	if v == -1 {
		r.Full(r.buf[:8])
		v = int64(binary.LittleEndian.Uint64(r.buf[:]))
	}
	return r.bounded(what, v, lo, hi)
}

// Vstring reads a string with a one- or two-byte length of at most limit.
func (r *Reader) Vstring(what string, limit int) []byte {
	n := int(r.Byte())
	if n&0x80 != 0 {
		n = n&0x7f<<8 | int(r.Byte())
	}
	return r.Bytes(what, n, limit)
}

// Bytes reads n bytes, n at most limit.
func (r *Reader) Bytes(what string, n, limit int) []byte {
	if r.bounded(what+" length", int64(n), 0, int64(limit)); r.err != nil {
		return nil
	}
	p := make([]byte, n)
	r.Full(p)
	if r.err != nil {
		return nil
	}
	return p
}

// CString reads bytes up to a NUL, which is consumed and not returned. A
// string over limit bytes is an error.
func (r *Reader) CString(what string, limit int) []byte { return r.until(0, what, limit) }

// Line reads bytes up to a line feed, which is consumed and not returned. A
// line over limit bytes, or with a NUL in it, is an error.
func (r *Reader) Line(what string, limit int) []byte {
	p := r.until('\n', what, limit)
	if bytes.IndexByte(p, 0) >= 0 {
		r.err = &RangeError{"byte in " + what, 0, 1, 255}
		return nil
	}
	return p
}

func (r *Reader) until(end byte, what string, limit int) []byte {
	var p []byte
	for r.err == nil {
		c := r.Byte()
		if r.err != nil {
			return nil
		}
		if c == end {
			return p
		}
		if len(p) == limit {
			r.err = &RangeError{what + " length", int64(limit) + 1, 0, int64(limit)}
			return nil
		}
		p = append(p, c)
	}
	return nil
}

// Ndx reads a file-list index: any value >= 0, or a negative special value.
func (r *Reader) Ndx(v Version) int32 {
	if !v.Varints() {
		return int32(r.Uint32())
	}
	c := r.Byte()
	mem := &r.ndx.pos
	sign := int32(1)
	switch {
	case r.err != nil || c == 0:
		return NdxDone
	case c == 0xff:
		mem, sign = &r.ndx.neg, -1
		c = r.Byte()
	}
	var x uint32
	if c == 0xfe {
		b := r.buf[:4]
		r.Full(b[:2])
		if b[0]&0x80 != 0 {
			r.Full(b[2:])
			x = uint32(b[0]&0x7f)<<24 | uint32(b[1]) | uint32(b[2])<<8 | uint32(b[3])<<16
		} else {
			x = uint32(*mem) + uint32(b[0])<<8 + uint32(b[1])
		}
	} else {
		x = uint32(*mem) + uint32(c)
	}
	if r.err != nil {
		return NdxDone
	}
	if x > 0x7fffffff {
		r.err = &RangeError{"file index", int64(x), 0, 0x7fffffff}
		return NdxDone
	}
	*mem = int32(x)
	return sign * int32(x)
}
