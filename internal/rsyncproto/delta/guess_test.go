package delta

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"rrserve/internal/rsyncproto/checksum"
)

// guessed returns the blocks that a search of file finds in file where the
// client sent strong bytes of the strong sums and wrong weak sums for all blocks
// but the first.
func guessed(t *testing.T, file []byte, n int, strong int32, wrong int64, inPlace bool) (*search, []int32) {
	t.Helper()
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	s := signatures(t, c, slices.Collect(slices.Chunk(file, n)))
	for i := range s.weak[1:] {
		s.weak[i+1]++
	}
	whole := s.strong
	s.strong, s.head.Strong = nil, strong
	for sum := range slices.Chunk(whole, 16) {
		s.strong = append(s.strong, sum[:strong]...)
	}
	var out counter
	m := NewSender(c).newSearch(s, int64(len(file)), &out, inPlace)
	m.wrong = min(m.wrong, wrong)
	if _, err := m.chunk(file); err != nil {
		t.Fatal(err)
	}
	return m, out.blocks
}

// The block after the last one needs no weak sum, if the strong sums are long
// enough.
func TestGuess(t *testing.T) {
	file := make([]byte, 1000)
	rand.NewChaCha8([32]byte{2}).Read(file)
	all := []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		strong int32
		wrong  int64
		want   []int32
	}{{2, 1, all[:1]}, {3, 1, all}, {4, 1, all}, {16, 1, all}, {16, 0, all[:1]}} {
		for _, inPlace := range []bool{false, true} {
			if _, blocks := guessed(t, file, 100, c.strong, c.wrong, inPlace); !slices.Equal(blocks, c.want) {
				t.Errorf("%d bytes of strong sums, in place %v: blocks %v, want %v", c.strong, inPlace, blocks, c.want)
			}
		}
	}
}

// After as many wrong guesses as are allowed the weak sum counts.
func TestWrongGuesses(t *testing.T) {
	const n, blocks = 100, 50
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	basis := make([]byte, n*blocks)
	rand.NewChaCha8([32]byte{3}).Read(basis)
	s := signatures(t, c, slices.Collect(slices.Chunk(basis, n)))
	// One byte between every two blocks: each guess is wrong, and no block is lost
	// by that.
	file := bytes.Join(slices.Collect(slices.Chunk(basis, n)), []byte{1})
	for _, allowed := range []int64{0, 7, 1000} {
		var out counter
		m := NewSender(c).newSearch(s, int64(len(file)), &out, false)
		m.wrong = allowed
		if _, err := m.chunk(file); err != nil {
			t.Fatal(err)
		}
		if len(out.blocks) != blocks || m.wrong != max(0, allowed-(blocks-1)) {
			t.Errorf("%d wrong guesses allowed: %d left, %d blocks found", allowed, m.wrong, len(out.blocks))
		}
	}
	for strong := int32(1); strong <= checksum.MaxSize; strong++ {
		// A wrong guess passes for right once in 2^(8*strong) times.
		if w := wrongGuesses(strong); w > 0 && (strong < 3 || 8*strong < 63 && w > 1<<(8*strong-12)) {
			t.Errorf("%d bytes of strong sums: %d wrong guesses allowed", strong, w)
		}
	}
}
