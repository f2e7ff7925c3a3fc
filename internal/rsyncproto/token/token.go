// Package token writes the data stream of one file: literal bytes and
// references to blocks that the client already has, plain or compressed.
//
// [NewCompressed] makes the one Writer of a session from what was negotiated: a [Method],
// a level and the protocol version. The formats are those of protocol sections
// 4.7 (plain) and 5 (compressed).
package token

import (
	"fmt"

	"rrserve/internal/rsyncproto/wire"
)

// Writer takes the tokens of one file after the other. The implementations
// write the framing of protocol sections 4.7 (plain) and 5 (compressed).
//
// Calls for one file are any number of Literal and Match, then one End.
// Errors are those of the underlying writer and final.
type Writer interface {
	// Literal appends data that the client does not have; len(p) is not
	// bounded, the Writer splits it. p is not kept.
	Literal(p []byte) error
	// Match says that the next len(data) bytes of the file are block i of the
	// client's basis, 0 <= i < 2^31-1. data is the block's content; only the
	// zlib method needs it, it is not kept.
	Match(i int32, data []byte) error
	// End ends the file; the whole-file checksum follows on the wire.
	End() error
}

// WriteCloser is the Writer of a session.
type WriteCloser interface {
	Writer
	// Close lets go of the encoder, up to tens of megabytes. It writes nothing,
	// since the streams of all methods go on until the connection ends. The
	// Writer must not be used afterwards.
	Close() error
}

// NewPlain returns a Writer for a session without compression.
func NewPlain(w *wire.Writer) WriteCloser { return &plain{w} }

// NewCompressed returns a Writer for a session whose compression method is m.
// The level is what the client asked for, or [DefaultLevel]; with [None], and
// with level 0 of [Zlib] and [Zlibx], the stream is plain. v decides which
// history of matched blocks zlib's receiver keeps.
//
// hurry is asked before each literal, with its length in bytes, whether [Zstd] with DefaultLevel
// should be quicker and make more bytes; nil is never.
//
// The encoder is made when the first literal byte comes. None of them starts a
// goroutine.
func NewCompressed(w *wire.Writer, m Method, level int, v wire.Version, hurry func(literal int) bool) (WriteCloser, error) {
	out := &items{w: w}
	if level != DefaultLevel {
		hurry = nil
	}
	level = m.Level(level)
	switch {
	case m == None, (m == Zlib || m == Zlibx) && level == 0:
		return NewPlain(w), nil
	case m == Zlib:
		out.held = len(flushTrailer)
		return newCompressed(out, &deflater{out: out, level: level, matched: history{longBlockBug: v < 31}}), nil
	case m == Zlibx:
		out.held = len(flushTrailer)
		return newCompressed(out, &deflater{out: out, level: level, matched: history{off: true}}), nil
	case m == Zstd:
		return newCompressed(out, &zstdCodec{out: out, level: level, hurry: hurry}), nil
	case m == LZ4:
		return newCompressed(out, &lz4Codec{out: out}), nil
	}
	return nil, fmt.Errorf("unknown compression method %d", m)
}
