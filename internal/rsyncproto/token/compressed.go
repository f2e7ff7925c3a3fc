package token

import "rrserve/internal/rsyncproto/wire"

// First bytes of the items of a compressed stream (protocol section 5.2).
const (
	endFlag      = 0x00 // END_FLAG
	tokenLong    = 0x20 // TOKEN_LONG: an int, the block
	tokenRunLong = 0x21 // TOKENRUN_LONG: an int and the number of further blocks
	deflatedData = 0x40 // DEFLATED_DATA: 6 bits and a byte of length, data
	tokenRel     = 0x80 // TOKEN_REL: 6 bits, the distance from the last block
	tokenRunRel  = 0xc0 // TOKENRUN_REL: the same and the number of further blocks
)

// maxItem is the largest number of bytes in a DEFLATED_DATA item.
const maxItem = 16383 // MAX_DATA_COUNT

// maxRun is the largest number of further blocks of a run.
const maxRun = 65535

// codec compresses the literals of a session into items.
type codec interface {
	// literal takes at least one byte.
	literal(p []byte) error
	// match is told of a block between flush and the next literal.
	match(data []byte)
	// flush makes all literals since the last flush, at least one byte,
	// decodable.
	flush() error
	// endFile comes after the last flush of a file.
	endFile()
	// close drops the encoder.
	close()
}

// compressed is the token layer that all methods share.
type compressed struct {
	out       *items
	codec     codec
	unflushed bool // literals came since the last flush
	run       run
}

func newCompressed(out *items, c codec) *compressed { return &compressed{out: out, codec: c} }

func (t *compressed) Literal(p []byte) error {
	if len(p) == 0 {
		return t.out.w.Err()
	}
	t.run.write(t.out.w)
	t.unflushed = true
	return t.codec.literal(p)
}

func (t *compressed) Match(i int32, data []byte) error {
	if err := t.flush(); err != nil {
		return err
	}
	if !t.run.extend(i) {
		t.run.write(t.out.w)
		t.run.start(i)
	}
	t.codec.match(data)
	return t.out.w.Err()
}

func (t *compressed) End() error {
	if err := t.flush(); err != nil {
		return err
	}
	t.run.write(t.out.w)
	t.run = run{}
	t.out.w.Byte(endFlag)
	t.codec.endFile()
	return t.out.w.Err()
}

func (t *compressed) Close() error {
	t.codec.close()
	return nil
}

// flush comes before every token: the receiver must have the literals in front
// of it.
func (t *compressed) flush() error {
	if !t.unflushed {
		return nil
	}
	t.unflushed = false
	return t.codec.flush()
}

// run gathers consecutive blocks into one token.
type run struct {
	pending     bool
	first, prev int32 // the run, both ends included
	last        int32 // end of the run written before, 0 at the file's start
}

// extend adds block i if it continues the run.
func (r *run) extend(i int32) bool {
	if !r.pending || i-1 != r.prev || i-r.first > maxRun {
		return false
	}
	r.prev = i
	return true
}

func (r *run) start(i int32) { r.pending, r.first, r.prev = true, i, i }

// write ends the run.
func (r *run) write(w *wire.Writer) {
	if !r.pending {
		return
	}
	rel, more := r.first-r.last, r.prev-r.first
	switch near := rel >= 0 && rel <= 0x3f; {
	case near && more == 0:
		w.Byte(tokenRel | byte(rel))
	case near:
		w.Byte(tokenRunRel | byte(rel))
	case more == 0:
		w.Byte(tokenLong)
		w.Int(r.first)
	default:
		w.Byte(tokenRunLong)
		w.Int(r.first)
	}
	if more > 0 {
		w.Short(uint16(more))
	}
	r.pending, r.last = false, r.prev
}

// items cuts the output of an encoder into DEFLATED_DATA items.
type items struct {
	w       *wire.Writer
	buf     []byte
	held    int  // number of bytes at the end that a flush leaves off
	discard bool // output is dropped
}

// Write takes compressed bytes; it makes items an io.Writer for encoders.
func (o *items) Write(p []byte) (int, error) {
	if o.discard {
		return len(p), nil
	}
	if o.buf == nil {
		o.buf = make([]byte, 0, maxItem+o.held)
	}
	n := len(p)
	for len(p) > 0 {
		if len(o.buf) == cap(o.buf) {
			o.item(o.buf[:maxItem])
			o.buf = append(o.buf[:0], o.buf[maxItem:]...)
		}
		m := min(len(p), cap(o.buf)-len(o.buf))
		o.buf = append(o.buf, p[:m]...)
		p = p[m:]
	}
	return n, o.w.Err()
}

// flush sends what is buffered, without the bytes that are left off.
func (o *items) flush() error {
	o.item(o.buf[:max(0, len(o.buf)-o.held)])
	o.buf = o.buf[:0]
	return o.w.Err()
}

// item sends at most maxItem bytes as one item; an item of no bytes would end
// the client's session.
func (o *items) item(p []byte) {
	if len(p) == 0 {
		return
	}
	o.w.Byte(deflatedData | byte(len(p)>>8))
	o.w.Byte(byte(len(p)))
	o.w.Write(p)
}
