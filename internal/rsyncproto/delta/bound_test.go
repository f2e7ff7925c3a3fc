package delta

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"testing"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/wire"
)

// counter is a token.Writer that counts.
type counter struct {
	literal int
	blocks  []int32
}

func (c *counter) Literal(p []byte) error        { c.literal += len(p); return nil }
func (c *counter) Match(i int32, _ []byte) error { c.blocks = append(c.blocks, i); return nil }
func (c *counter) End() error                    { return nil }

// lookalike returns the i-th of the blocks of n bytes that differ from each
// other and from zeros and have the weak sum of zeros: with a, -2a, a in three
// neighbouring places both s1 and s2 are 0.
func lookalike(n, i int) []byte {
	p := make([]byte, n)
	a, at := i%63+1, i/63%(n-2)
	p[at], p[at+1], p[at+2] = byte(a), byte(-2*a), byte(a)
	return p
}

func TestLookalikes(t *testing.T) {
	for i := range 1000 {
		if w := Weak(lookalike(100, i)); w != 0 {
			t.Fatalf("lookalike %d has the weak sum %x", i, w)
		}
	}
}

// signatures returns what a client sends for the blocks.
func signatures(t *testing.T, c checksum.Config, blocks [][]byte) *Sums {
	t.Helper()
	h := Head{Count: int32(len(blocks)), BlockLength: int32(len(blocks[0])), S2Length: 16, Strong: 16}
	sum := checksum.NewBlock(c)
	var p []byte
	for _, b := range blocks {
		p = binary.LittleEndian.AppendUint32(p, Weak(b))
		p = sum.Sum(p, b)
	}
	s, err := ReadSums(wire.NewReader(bytes.NewReader(p)), h, MemoryLimit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Of the blocks with one weak sum no more than maxChain are looked at.
func TestChainIsBounded(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	const n = 100
	for _, tc := range []struct {
		lookalikes int
		found      bool
	}{{0, true}, {maxChain - 1, true}, {maxChain, false}} {
		var blocks [][]byte
		for i := range tc.lookalikes {
			blocks = append(blocks, lookalike(n, i))
		}
		blocks = append(blocks, make([]byte, n))
		var out counter
		file := append(bytes.Repeat([]byte{1}, n), make([]byte, n)...)
		_, err := NewSender(c).Search(bytes.NewReader(file), 2*n, signatures(t, c, blocks), false, &out)
		if err != nil {
			t.Fatal(err)
		}
		if found := slices.Equal(out.blocks, []int32{int32(tc.lookalikes)}); found != tc.found {
			t.Errorf("behind %d lookalikes: blocks %v", tc.lookalikes, out.blocks)
		}
	}
}

// A client describes blocks that look like every window of the file and are
// not there. Without a bound each offset costs the hash of a whole block, a
// quarter of a terabyte for this file.
func TestWorkIsBounded(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	const n, size = 128 << 10, 4 << 20
	var blocks [][]byte
	for i := range 50 {
		blocks = append(blocks, lookalike(n, i))
	}
	var out counter
	m := NewSender(c).newSearch(signatures(t, c, blocks), size, &out, false)
	file := make([]byte, size)
	rest, err := m.chunk(file)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	if least := -int64(n + len(blocks)*candidateCost); m.budget > 0 || m.budget < least {
		t.Errorf("%d of %d left to spend", m.budget, workLimit(size, int64(n*len(blocks))))
	}
	if out.literal != size || out.blocks != nil || m.pos != size {
		t.Errorf("%d bytes literal, blocks %v, ended at %d", out.literal, out.blocks, m.pos)
	}
}

// The limit leaves room for what chance takes where nothing of a file is found,
// and a peer that makes it look like that gets little more than double. It ended
// the search in files of more than 64 GiB.
func TestWorkLimit(t *testing.T) {
	for _, c := range []struct{ size, length int64 }{
		{700, 700}, {1 << 20, 1024}, {2 << 30, 46336}, {8 << 30, 700}, {32 << 30, maxBlock}, {64 << 30, maxBlock},
		{64 << 30, 8192}, {256 << 30, maxBlock}, {1 << 40, maxBlock}, {16 << 40, maxBlock}, {64 << 40, maxSearchBlock},
	} {
		size, blocks := float64(c.size), min(c.size/c.length, MemoryLimit/(blockCost+2))
		chance := size * float64(blocks) / (1 << 32) * float64(c.length+candidateCost)
		// What passes the filter meets the candidates of one head; see newIndex.
		n := bits.Len64(uint64(blocks))
		filter, heads := math.Exp2(float64(min(n+4, maxLargeLog))), math.Exp2(float64(n))
		pass := math.Pow(1-math.Exp(-2*float64(blocks)/filter), 2)
		candidates := size * pass * float64(blocks) / heads * candidateCost
		limit := float64(workLimit(c.size, blocks*c.length))
		if chance+candidates > limit-size {
			t.Errorf("%d bytes: %g for chance and %g for candidates, limit %g", c.size, chance, candidates, limit)
		}
		if most := 64<<20 + 16*size + 2.01*chance; limit > most {
			t.Errorf("%d bytes: limit %g, more than %g", c.size, limit, most)
		}
	}
	if workLimit(math.MaxInt64, math.MaxInt64) != workLimit(64<<40, 64<<40) || workLimit(math.MaxInt64, math.MaxInt64) < 0 {
		t.Error("the limit of the largest file")
	}
	if workLimit(2<<30, math.MaxInt64) != workLimit(2<<30, 2<<30) {
		t.Error("a peer's word raises the limit")
	}
}

// In place, blocks that are gone leave their chain, so that a file of one
// repeated block costs no more than its length.
func TestGoneBlocksLeaveTheChain(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	const n, count = 100, 5000
	zero := make([]byte, n)
	s := signatures(t, c, slices.Repeat([][]byte{zero}, count))
	var out counter
	m := NewSender(c).newSearch(s, n*count+1, &out, true)
	before := m.budget
	// One byte in front: no block is at its own offset, and each is used or gone
	// after the output has passed it.
	file := append([]byte{1}, make([]byte, n*count)...)
	rest, err := m.chunk(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.blocks) != count-1 || out.literal+len(rest) != len(file)-(count-1)*n {
		t.Errorf("%d blocks, %d bytes literal", len(out.blocks), out.literal+len(rest))
	}
	if spent := before - m.budget; spent > 10*count*candidateCost {
		t.Errorf("spent %d on %d blocks", spent, count)
	}
}

// The buffers for a short file had room for blocks as long as the client said,
// up to 4 MiB.
func TestBlockLengthSizesNoMemory(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.MD5, Seed: 1}
	file := []byte("what is shorter than a block")
	block := make([]byte, maxSearchBlock)
	s := signatures(t, c, [][]byte{block, block})
	for _, size := range []int{1, len(file)} {
		out := &counter{}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := NewSender(c).Search(bytes.NewReader(file[:size]), int64(size), s, false, out)
		runtime.ReadMemStats(&after)
		if err != nil || out.literal != size || res.Literal != int64(size) {
			t.Errorf("%d of %d bytes sent, %+v, %v", out.literal, size, res, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%d bytes allocated for a file of %d", n, size)
		}
	}
}
