package token

import "rrserve/internal/rsyncproto/wire"

// maxLiteral is the longest literal token: receivers 3.4.3 and later end the
// session above it (protocol section 4.7).
const maxLiteral = 32768 // CHUNK_SIZE

// plain writes tokens without compression. It has no state.
type plain struct{ w *wire.Writer }

func (t *plain) Literal(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), maxLiteral)
		t.w.Int(int32(n))
		t.w.Write(p[:n])
		p = p[n:]
	}
	return t.w.Err()
}

func (t *plain) Match(i int32, _ []byte) error {
	t.w.Int(-(i + 1))
	return t.w.Err()
}

func (t *plain) End() error {
	t.w.Int(0)
	return t.w.Err()
}

func (t *plain) Close() error { return nil }
