package wire

import (
	"encoding/binary"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const headerLen = 4

// Writer encodes the stream to the client. Numbers and bytes gather in one
// buffer that leaves as a single write with its frame header in front.
//
// One goroutine writes; KeepAlive alone may be called from another.
type Writer struct {
	mu    sync.Mutex // held while dst is written to
	dst   io.Writer
	n     atomic.Int64
	last  atomic.Int64 // time of the last write, in nanoseconds of clock
	spent atomic.Int64 // nanoseconds in dst
	clock func() time.Time

	framed bool
	buf    []byte // headerLen bytes of room, then data
	ndx    ndxState
	err    error
}

// NewWriter returns a Writer of plain bytes; Frame switches to frames.
func NewWriter(w io.Writer) *Writer {
	wr := &Writer{
		dst: w, clock: time.Now,
		buf: make([]byte, headerLen, headerLen+maxFrame),
		ndx: newNdxState(),
	}
	wr.last.Store(wr.clock().UnixNano())
	return wr
}

// Frame flushes and switches to frames, from which there is no way back. The
// count of written bytes starts here.
func (w *Writer) Frame() {
	w.Flush()
	w.mu.Lock()
	w.framed = true
	w.mu.Unlock()
	w.n.Store(0)
}

// Framed reports whether Frame was called.
func (w *Writer) Framed() bool { return w.framed }

// Err returns the first error of the underlying writer.
func (w *Writer) Err() error { return w.err }

// Count returns the number of bytes written since Frame, headers included,
// without those that are still in the buffer.
func (w *Writer) Count() int64 {
	return w.n.Load()
}

// Writing returns how long the underlying writer has taken for all that was
// written: little where the client takes what comes, nearly all of a session's time
// where its link is slow.
func (w *Writer) Writing() time.Duration { return time.Duration(w.spent.Load()) }

func (w *Writer) emit(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write(p)
}

// write needs the lock.
func (w *Writer) write(p []byte) error {
	begin := w.clock()
	n, err := w.dst.Write(p)
	end := w.clock()
	w.n.Add(int64(n))
	w.spent.Add(int64(end.Sub(begin)))
	w.last.Store(end.UnixNano())
	return err
}

// Flush sends what is in the buffer.
func (w *Writer) Flush() error {
	if n := len(w.buf) - headerLen; n > 0 {
		p := w.buf[headerLen:]
		if w.framed {
			p = w.buf
			putHeader(p, Data, n)
		}
		w.buf = w.buf[:headerLen]
		if w.err == nil {
			w.err = w.emit(p)
		}
	}
	return w.err
}

func putHeader(p []byte, c Code, n int) {
	binary.LittleEndian.PutUint32(p, uint32(c+codeOffset)<<24|uint32(n))
}

// KeepAlive sends an empty data frame when nothing was written for d. It does
// nothing before Frame and while a write is under way.
func (w *Writer) KeepAlive(d time.Duration) error {
	if w.clock().Sub(time.Unix(0, w.last.Load())) < d || !w.mu.TryLock() {
		return nil
	}
	defer w.mu.Unlock()
	if !w.framed {
		return nil
	}
	var h [headerLen]byte
	putHeader(h[:], Data, 0)
	return w.write(h[:])
}

// Message flushes the data and sends a message frame. The payload is bounded
// by the frame length, 2^24-1 bytes.
func (w *Writer) Message(c Code, payload []byte) {
	if w.Flush() != nil {
		return
	}
	p := make([]byte, headerLen, headerLen+len(payload))
	putHeader(p, c, len(payload))
	w.err = w.emit(append(p, payload...))
}

// MessageInt sends a message whose payload is one int.
func (w *Writer) MessageInt(c Code, v int32) {
	w.Message(c, binary.LittleEndian.AppendUint32(nil, uint32(v)))
}

// Text sends a message for people. It is cut into frames that every stock
// client accepts; the caller ends it with a newline.
func (w *Writer) Text(c Code, text string) {
	for len(text) > maxText {
		w.Message(c, []byte(text[:maxText]))
		text = text[maxText:]
	}
	w.Message(c, []byte(text))
}

// Write appends bytes; it makes a Writer an io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		room := headerLen + maxFrame - len(w.buf)
		if room == 0 {
			if w.Flush() != nil {
				return 0, w.err
			}
			continue
		}
		m := min(room, len(p))
		w.buf = append(w.buf, p[:m]...)
		p = p[m:]
	}
	return n, w.err
}

// WriteString appends the bytes of s.
func (w *Writer) WriteString(s string) (int, error) {
	n := len(s)
	for len(s) > 0 {
		room := headerLen + maxFrame - len(w.buf)
		if room == 0 {
			if w.Flush() != nil {
				return 0, w.err
			}
			continue
		}
		m := min(room, len(s))
		w.buf = append(w.buf, s[:m]...)
		s = s[m:]
	}
	return n, w.err
}

// room makes sure that n more bytes fit into the buffer.
func (w *Writer) room(n int) {
	if len(w.buf)+n > headerLen+maxFrame {
		w.Flush()
	}
}

// Byte appends one byte.
func (w *Writer) Byte(b byte) {
	w.room(1)
	w.buf = append(w.buf, b)
}

// Short appends two bytes, little endian.
func (w *Writer) Short(v uint16) {
	w.room(2)
	w.buf = binary.LittleEndian.AppendUint16(w.buf, v)
}

// Int appends a 4-byte number.
func (w *Writer) Int(v int32) {
	w.room(4)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(v))
}

// Varint appends a varint.
func (w *Writer) Varint(v int32) {
	w.room(varnumRoom)
	w.buf = appendVarnum(w.buf, uint64(uint32(v)), 1)
}

// Varlong appends a varlong of at least m bytes.
func (w *Writer) Varlong(v int64, m int) {
	w.room(varnumRoom)
	w.buf = appendVarnum(w.buf, uint64(v), m)
}

// varnumRoom is the room in bytes that appendVarnum works in, whatever it uses.
const varnumRoom = 9

// appendVarnum appends v with at least m value bytes. The high bits of the first
// byte count the bytes beyond m; the most significant value byte moves in with
// them when it fits.
func appendVarnum(p []byte, v uint64, m int) []byte {
	n := max(m, (bits.Len64(v)+7)/8)
	top := byte(v >> (8 * (n - 1)))
	extra := n - m
	// extra one-bits, a zero bit, and what is left for the value.
	if room := 7 - extra; room >= 0 && top < 1<<room {
		p = append(p, ^byte(0xff>>extra)|top)
		n--
	} else {
		p = append(p, ^byte(0xff>>(extra+1)))
	}
	return binary.LittleEndian.AppendUint64(p, v)[:len(p)+n]
}

// Longint appends the 64-bit number of protocols below 30.
func (w *Writer) Longint(v int64) {
	if v >= 0 && v <= 0x7fffffff {
		w.Int(int32(v))
		return
	}
	w.room(12)
	w.buf = append(w.buf, 0xff, 0xff, 0xff, 0xff)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(v))
}

// Vint appends a count or length: a varint, an int below protocol 30.
func (w *Writer) Vint(v Version, x int32) {
	if v.Varints() {
		w.Varint(x)
	} else {
		w.Int(x)
	}
}

// Vlong appends a size: a varlong of at least m bytes, a longint below
// protocol 30.
func (w *Writer) Vlong(v Version, x int64, m int) {
	if v.Varints() {
		w.Varlong(x, m)
	} else {
		w.Longint(x)
	}
}

// Vstring appends a string of at most 32767 bytes with its length.
func (w *Writer) Vstring(s []byte) {
	if len(s) > 0x7f {
		w.Byte(byte(len(s)>>8) | 0x80)
	}
	w.Byte(byte(len(s)))
	w.Write(s)
}

// Ndx appends a file-list index.
func (w *Writer) Ndx(v Version, x int32) {
	if !v.Varints() {
		w.Int(x)
		return
	}
	w.room(7)
	mem := &w.ndx.pos
	switch {
	case x == NdxDone:
		w.buf = append(w.buf, 0)
		return
	case x < 0:
		w.buf = append(w.buf, 0xff)
		mem, x = &w.ndx.neg, -x
	}
	d := int64(x) - int64(*mem)
	*mem = x
	switch {
	case d > 0 && d < 0xfe:
		w.buf = append(w.buf, byte(d))
	case d >= 0 && d <= 0x7fff:
		w.buf = append(w.buf, 0xfe, byte(d>>8), byte(d))
	default:
		w.buf = append(w.buf, 0xfe, byte(x>>24)|0x80, byte(x), byte(x>>8), byte(x>>16))
	}
}
