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
type deflater struct {
	out     *items
	level   int      // 1..9
	matched *history // nil for zlibx
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
	if !d.open {
		d.open = true
		if d.enc == nil {
			var err error
			if d.enc, err = flate.NewWriter(d.out, flateLevel[d.level]); err != nil {
				return err
			}
		} else {
			d.enc.Reset(d.out)
		}
	}
	if d.matched == nil || len(d.matched.buf) == 0 {
		return nil
	}
	// The encoder sees the matched bytes as data, and nobody sees what it
	// makes of them: after the flush it stands at a byte boundary and between
	// two blocks, as before.
	d.out.discard = true
	_, err := d.enc.Write(d.matched.window())
	err = errors.Join(err, d.enc.Flush())
	d.out.discard = false
	d.matched.buf = d.matched.buf[:0]
	return err
}

func (d *deflater) match(data []byte) {
	if d.matched != nil {
		d.matched.match(data)
	}
}

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
	d.open = false
	if d.matched != nil {
		d.matched.buf = d.matched.buf[:0]
	}
}

func (d *deflater) close() { d.enc, d.matched = nil, nil }

// flateLevel maps zlib's levels to those of the library that come closest in
// size; index 0 is not used.
var flateLevel = [10]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}

// windowSize is how far back deflate can refer.
const windowSize = 32768

// maxStored is the longest stored block of deflate. zlib's receivers put
// matched blocks into their history as stored blocks.
const maxStored = 65535

// history is what zlib's receiver put into its window since the last literal.
// Older bytes are in the encoder's own window.
type history struct {
	// longBlockBug is set below protocol 31: of a block that is longer than
	// maxStored the receiver takes as many bytes as it has, but every piece from
	// its start (protocol section 5.3).
	longBlockBug bool
	buf          []byte // grows to 2*windowSize; its end counts
}

func (h *history) match(data []byte) {
	if h.longBlockBug && len(data) > maxStored {
		h.add(data[:maxStored])
		data = data[:len(data)%maxStored]
	}
	h.add(data)
}

func (h *history) add(p []byte) {
	p = tail(p)
	if len(h.buf)+len(p) > 2*windowSize {
		h.buf = append(h.buf[:0], h.window()...)
	}
	h.buf = append(h.buf, p...)
}

// window returns the bytes that a reference can reach.
func (h *history) window() []byte { return tail(h.buf) }

func tail(p []byte) []byte { return p[max(0, len(p)-windowSize):] }
