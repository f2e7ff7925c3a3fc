package delta_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/delta/deltatest"
)

func TestWeak(t *testing.T) {
	random := make([]byte, 128<<10)
	rand.NewChaCha8([32]byte{1}).Read(random)
	// The bytes that come to the most and to the least in a lane of their own, and
	// in the lane beside.
	for name, p := range map[string][]byte{
		"random": random, "most": bytes.Repeat([]byte{127}, len(random)), "least": bytes.Repeat([]byte{128}, len(random)),
		"most even": bytes.Repeat([]byte{127, 128}, len(random)/2), "most odd": bytes.Repeat([]byte{128, 127}, len(random)/2),
	} {
		for n := 0; n <= len(p); n = n + 1 + n/200*37 {
			if got, want := delta.Weak(p[:n]), deltatest.Weak(p[:n]); got != want {
				t.Fatalf("%s, %d bytes: %x, want %x", name, n, got, want)
			}
		}
	}
}
