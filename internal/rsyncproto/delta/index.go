package delta

import (
	"math/bits"
	"math/rand/v2"
)

// index finds the blocks of full length with a given weak sum.
//
// All its parts are addressed by the top bits of the weak sum times a secret
// odd number, so that a peer cannot choose weak sums that fall together.
type index struct {
	weak   []uint32
	factor uint32
	// filter is a set of bits, 16 to 32 for each block, that says of most weak
	// sums that no block has them.
	filter      []uint64
	filterShift uint8
	// heads and next chain the blocks of one bucket in ascending order. Both hold
	// block numbers, or none.
	heads     []int32
	headShift uint8
	next      []int32
}

const none = -1

// The filter stays within the second-level cache of the processor.
const maxFilterBits = 22

func newIndex(weak []uint32) *index {
	n := bits.Len(uint(len(weak))) // 2^(n-1) <= len(weak) < 2^n
	filterBits, headBits := min(max(n+4, 6), maxFilterBits), min(n, 31)
	x := &index{
		weak:        weak,
		factor:      rand.Uint32() | 1,
		filter:      make([]uint64, 1<<filterBits/64),
		filterShift: uint8(32 - filterBits),
		heads:       make([]int32, 1<<headBits),
		headShift:   uint8(32 - headBits),
		next:        make([]int32, len(weak)),
	}
	for i := range x.heads {
		x.heads[i] = none
	}
	for i := len(weak) - 1; i >= 0; i-- {
		h := weak[i] * x.factor
		f := h >> x.filterShift
		x.filter[f/64] |= 1 << (f % 64)
		x.next[i] = x.heads[h>>x.headShift]
		x.heads[h>>x.headShift] = int32(i)
	}
	return x
}

// may reports whether some block may have the weak sum w.
func (x *index) may(w uint32) bool {
	f := w * x.factor >> x.filterShift
	return x.filter[f/64]>>(f%64)&1 != 0
}

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
	s1, s2, scale := w.s1, w.s2, w.length<<16
	filter, factor, shift := x.filter, x.factor, x.filterShift&31
	for i, o := range out {
		old := uint32(int32(int8(o)))
		s1 += uint32(int32(int8(in[i]))) - old
		s2 += s1<<16 - scale*old
		f := (s1&0xffff | s2) * factor >> shift
		if filter[f/64]>>(f%64)&1 != 0 {
			w.s1, w.s2 = s1, s2
			return i + 1, true
		}
	}
	w.s1, w.s2 = s1, s2
	return len(out), false
}
