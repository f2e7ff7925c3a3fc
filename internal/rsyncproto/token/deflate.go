package token

import (
	"bytes"
	"errors"

	"github.com/klauspost/compress/flate"
)

// flushTrailer ends every sync flush of deflate. It is not sent in front of a
// token; the receiver puts it back.
const flushTrailer = "\x00\x00\xff\xff"

// errNoTrailer would be a defect of the deflate library: without the trailer,
// what is left off at a token would be data.
var errNoTrailer = errors.New("deflate: flush did not end in an empty stored block")

// deflater is the codec of zlib and zlibx: raw deflate, one stream per file.
//
// On source text the library's level 6 makes 3 % more bytes than zlib's, in
// half the time. Its level 7 would save 1 % of that and take twice as long, and
// far longer for what cannot be compressed.
type deflater struct {
	out     *items
	level   int // 1..9, given to the library as it is
	matched history
	enc     *flate.Writer
	open    bool // the stream of this file has begun
}

func (d *deflater) literal(p []byte) error {
	if err := d.begin(); err != nil {
		return err
	}
	_, err := d.enc.Write(p)
	return err
}

// begin makes the encoder's history that of the receiver.
func (d *deflater) begin() error {
	if d.enc == nil {
		var err error
		if d.enc, err = flate.NewWriter(d.out, d.level); err != nil {
			return err
		}
	}
	seen := d.matched.take()
	if !d.open || len(seen) == windowSize {
		// There is nothing else in the receiver's window.
		d.enc.ResetDict(d.out, seen)
		d.open = true
		return nil
	}
	if len(seen) == 0 {
		return nil
	}
	// The encoder takes the matched bytes for data, and nobody sees what it
	// makes of them: after the flush it stands at a byte boundary between two
	// blocks, as before.
	d.out.discard = true
	defer func() { d.out.discard = false }()
	if _, err := d.enc.Write(seen); err != nil {
		return err
	}
	return d.enc.Flush()
}

func (d *deflater) match(data []byte) { d.matched.match(data) }

func (d *deflater) flush() error {
	if err := d.enc.Flush(); err != nil {
		return err
	}
	if !bytes.HasSuffix(d.out.buf, []byte(flushTrailer)) {
		return errNoTrailer
	}
	return d.out.flush()
}

func (d *deflater) endFile() {
	d.matched.take()
	d.open = false
}

func (d *deflater) close() { d.enc, d.matched.buf = nil, nil }

// windowSize is how far back deflate can refer.
const windowSize = 32768

// maxStored is the longest stored block of deflate. zlib's receivers put
// matched blocks into their history as stored blocks.
const maxStored = 65535

// history is what the receiver put into its window since the last literal.
// Older bytes are in the encoder's own window.
type history struct {
	// off is set for zlibx, whose receiver takes no notice of blocks.
	off bool
	// longBlockBug is set below protocol 31: of a block that is longer than
	// maxStored the receiver takes as many bytes as it has, but every piece from
	// its start (protocol section 5.3).
	longBlockBug bool
	buf          []byte // at most 2*windowSize bytes; the last windowSize count
}

func (h *history) match(data []byte) {
	if h.off {
		return
	}
	if h.longBlockBug && len(data) > maxStored {
		h.add(data[:maxStored])
		data = data[:len(data)%maxStored]
	}
	h.add(data)
}

func (h *history) add(p []byte) {
	p = tail(p)
	if len(h.buf)+len(p) > 2*windowSize {
		h.buf = append(h.buf[:0], tail(h.buf)...)
	}
	h.buf = append(h.buf, p...)
}

// take empties the history and returns the bytes of it that a reference can
// reach. They are valid until the next match.
func (h *history) take() []byte {
	p := tail(h.buf)
	h.buf = h.buf[:0]
	return p
}

func tail(p []byte) []byte { return p[max(0, len(p)-windowSize):] }
