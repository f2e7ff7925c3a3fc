package token_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/token/tokentest"
	"rrserve/internal/rsyncproto/wire"
)

func randomScript(rnd *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	return p
}

func TestRandomStreams(t *testing.T) {
	const streams = 300
	for _, c := range []struct {
		m      token.Method
		levels []int
		v      wire.Version
	}{
		{token.None, []int{0}, 32},
		{token.Zlib, []int{1, 6, 9, 2, 3, 4, 5, 7, 8}, 32},
		{token.Zlib, []int{6, 1, 9}, 30},
		{token.Zlibx, []int{1, 6, 9}, 32},
		{token.Zstd, []int{1, 3, 6, 9, 19}, 32},
		{token.LZ4, []int{0}, 32},
	} {
		t.Run(fmt.Sprintf("%v-%d", c.m, c.v), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(c.m), uint64(c.v)))
			for i := range streams {
				script := randomScript(rnd, 1+rnd.IntN(300))
				level := c.levels[i%len(c.levels)]
				if _, err := tokentest.RoundTrip(script, c.m, level, c.v); err != nil {
					t.Fatalf("stream %d, level %d, script %q: %v", i, level, script, err)
				}
			}
		})
	}
}
