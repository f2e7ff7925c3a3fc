package delta

import (
	"math/bits"
	"math/rand/v2"
)

// index finds the blocks of full length with a given weak sum.
//
// Its parts are addressed by bits of the weak sum times a secret odd number, so
// that a peer cannot choose weak sums that fall together.
type index struct {
	weak   []uint32
	factor uint32
	// One of the two filters is a set of bits that says of most weak sums that no
	// block has them: one that some block has is two bits of one word. small is
	// enough for the files of up to 64 MiB that make up most transfers; its size is a
	// constant for the sake of the loop that asks it. large has 16 to 32 bits for
	// each block, up to 4 MiB.
	small *smallFilter
	large []uint64
	// heads and next chain the blocks of one bucket in ascending order. Both hold
	// block numbers, or none.
	heads     []int32
	headShift uint8
	next      []int32
}

const none = -1

const (
	smallBits   = 1 << 19 // 64 KiB, within the second-level cache of the processor
	smallBlocks = smallBits / 64
	maxLargeLog = 25 // the number of bits of a hash that the large one looks at
)

type smallFilter [smallBits / 64]uint64

// newIndex returns the index of blocks with these weak sums. It clears and
// keeps small if that filter will do.
func newIndex(weak []uint32, small *smallFilter) *index {
	n := bits.Len(uint(len(weak))) // 2^(n-1) <= len(weak) < 2^n
	x := &index{
		weak:      weak,
		factor:    rand.Uint32() | 1,
		heads:     make([]int32, 1<<n),
		headShift: uint8(32 - n),
		next:      make([]int32, len(weak)),
	}
	if len(weak) <= smallBlocks {
		clear(small[:])
		x.small = small
	} else {
		x.large = make([]uint64, 1<<min(n+4, maxLargeLog)/64)
	}
	for i := range x.heads {
		x.heads[i] = none
	}
	for i := len(weak) - 1; i >= 0; i-- {
		h := weak[i] * x.factor
		if x.small != nil {
			x.small[smallWord(h)] |= 1<<smallBit(h) | 1<<middleBit(h)
		} else {
			x.large[largeWord(h, x.large)] |= 1<<middleBit(h) | 1<<lowBit(h)
		}
		x.next[i] = x.heads[h>>x.headShift]
		x.heads[h>>x.headShift] = int32(i)
	}
	return x
}

// The places of a hash in the filters: a word of the small one and its first and
// middle bit, or a word of the large one and its middle and low bit. A shift by
// a variable would slow down the loop, so the large one uses bits from the
// middle for the word.
func smallWord(h uint32) uint32             { return h >> 19 }
func smallBit(h uint32) uint32              { return h >> 13 % 64 }
func largeWord(h uint32, f []uint64) uint32 { return h >> 13 & uint32(len(f)-1) }
func middleBit(h uint32) uint32             { return h >> 7 % 64 }
func lowBit(h uint32) uint32                { return h >> 1 % 64 }

// bucket returns the place that holds the number of the first block that may
// have the weak sum w; the next one is in next.
func (x *index) bucket(w uint32) *int32 {
	return &x.heads[w*x.factor>>x.headShift]
}

// window is the state of the rolling checksum over length bytes. Both sums
// are kept modulo 2^32; s2 is shifted into its place in the weak sum.
type window struct {
	s1, s2 uint32
	length uint32
}

func newWindow(p []byte) window {
	w := Weak(p)
	return window{s1: w, s2: w &^ 0xffff, length: uint32(len(p))}
}

func (w *window) weak() uint32 { return w.s1&0xffff | w.s2 }

// roll moves w over p, whose beginning it covers, until the weak sum is one
// that some block may have, or the window reaches the end of p. It returns the
// number of bytes it moved and whether such a block may exist. The sum that w
// begins with is not looked at.
func (x *index) roll(w *window, p []byte) (int, bool) {
	in := p[w.length:]
	out := p[:len(in)]
	if x.small != nil {
		return x.rollSmall(w, in, out)
	}
	return x.rollLarge(w, in, out)
}

// rollSmall and rollLarge differ in the filter that they ask. All literal data
// of a changed file goes through one of them byte by byte: what could move out
// of the loop is out, and all that is in it stays in registers.
func (x *index) rollSmall(w *window, in, out []byte) (int, bool) {
	s1, s2, scale := w.s1, w.s2, w.length<<16
	filter, factor := x.small, x.factor
	_ = filter[0]      // not nil
	in = in[:len(out)] // nor too short: the loop need not look
	for i, o := range out {
		old := uint32(int32(int8(o)))
		s1 += uint32(int32(int8(in[i]))) - old
		s2 += s1<<16 - scale*old
		h := (s1&0xffff | s2) * factor
		// Few first bits are set: the branch is foreseen.
		if f := filter[smallWord(h)]; f>>smallBit(h)&1 != 0 && f>>middleBit(h)&1 != 0 {
			w.s1, w.s2 = s1, s2
			return i + 1, true
		}
	}
	w.s1, w.s2 = s1, s2
	return len(out), false
}

func (x *index) rollLarge(w *window, in, out []byte) (int, bool) {
	s1, s2, scale := w.s1, w.s2, w.length<<16
	filter, factor := x.large, x.factor
	in = in[:len(out)]
	for i, o := range out {
		old := uint32(int32(int8(o)))
		s1 += uint32(int32(int8(in[i]))) - old
		s2 += s1<<16 - scale*old
		h := (s1&0xffff | s2) * factor
		// As one condition: with each bit by itself one branch in ten is not foreseen.
		if f := filter[largeWord(h, filter)]; f>>middleBit(h)&(f>>lowBit(h))&1 != 0 {
			w.s1, w.s2 = s1, s2
			return i + 1, true
		}
	}
	w.s1, w.s2 = s1, s2
	return len(out), false
}
