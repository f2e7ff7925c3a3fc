package fuzz

import (
	"bytes"
	"testing"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/token/tokentest"
	"rrserve/internal/rsyncproto/wire"
)

// FuzzToken plays a script of literals and matches through the Writer of a
// method and reads the stream as a client would.
func FuzzToken(f *testing.F) {
	for _, script := range [][]byte{
		{},
		{3, 1, 0, 0, 0, 0}, // empty files
		{3, 1, 0, 2 | 9<<3, 5, 4 | 20<<3, 7, 2 | 1<<3, 5, 0},   // a few bytes, a run, one byte
		{6, 1, 1, 1, 40, 255, 255, 3, 255, 1, 1, 40, 255, 255}, // long literals and a repetition
		{6, 7, 2, 5 | 1<<3, 3, 255, 0, 5 | 2<<3, 3, 255, 9, 0}, // blocks of 100000 bytes and what they end in
		{4, 0, 1, 4 | 31<<3, 0, 4 | 31<<3, 0, 5, 6, 6 | 1<<3},  // tiny blocks, far and near
		{5, 5, 0, 7, 200, 255, 5, 7, 200, 255, 5, 3, 99, 200},  // medium literals between blocks of 65536 bytes
		bytes.Repeat([]byte{2 | 3<<3, 77, 5 | 3<<3, 0}, 50),    // many small files
		bytes.Repeat([]byte{1, 16, 64, 3, 5, 3, 200, 100}, 20), // long literals and repetitions
	} {
		for m := token.None; m <= token.LZ4; m++ {
			f.Add(byte(m), 6, byte(32), script)
			f.Add(byte(m), 1, byte(30), script)
		}
		f.Add(byte(token.Zstd), token.DefaultLevel, byte(32), script)
	}
	f.Fuzz(func(t *testing.T, method byte, level int, version byte, script []byte) {
		// An encoder, its decoder and both sides of a script of at most 512 KiB.
		defer limits{64 << 20, 0}.hold(t, 0)()
		m := token.Method(method % 5)
		v := wire.MinVersion + wire.Version(version)%(wire.MaxVersion-wire.MinVersion+1)
		if m == token.Zstd {
			level = min(level, 9) // the encoder of higher levels takes 50 MB
		}
		if _, err := tokentest.RoundTrip(script, m, level, v); err != nil {
			t.Errorf("%v, level %d, protocol %d: %v", m, level, v, err)
		}
	})
}
