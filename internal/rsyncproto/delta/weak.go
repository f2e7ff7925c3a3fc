package delta

import "encoding/binary"

// Weak returns the rolling checksum of p (section 4.5): with bytes taken as
// signed, s1 is the sum of all and s2 the sum of all prefix sums, each modulo
// 2^16; the value is s1 + s2<<16.
func Weak(p []byte) uint32 {
	// A signed byte is its bit pattern with the top bit flipped, less 128. So the
	// loops add up unsigned numbers, eight at a time, and the bias goes at the end.
	var s1, s2 uint64
	i := 0
	for ; i+64 <= len(p); i += 64 {
		q := (*[64]byte)(p[i:])
		var l lanes
		l = l.add(binary.LittleEndian.Uint64(q[0:]))
		l = l.add(binary.LittleEndian.Uint64(q[8:]))
		l = l.add(binary.LittleEndian.Uint64(q[16:]))
		l = l.add(binary.LittleEndian.Uint64(q[24:]))
		l = l.add(binary.LittleEndian.Uint64(q[32:]))
		l = l.add(binary.LittleEndian.Uint64(q[40:]))
		l = l.add(binary.LittleEndian.Uint64(q[48:]))
		l = l.add(binary.LittleEndian.Uint64(q[56:]))
		sum, prefixes := l.sums()
		s2 += 64*s1 + prefixes
		s1 += sum
	}
	for _, b := range p[i:] {
		s1 += uint64(b ^ 0x80)
		s2 += s1
	}
	k := uint64(len(p))
	s1 -= 128 * k
	s2 -= 64 * k * (k + 1)
	return uint32(s1)&0xffff | uint32(s2)<<16
}

// lanes are the sums of up to eight words of eight bytes, in lanes of 16 bits.
//
// even and odd add up the bytes at even and odd places; evens and odds add up
// the sums before each word, so that earlier words weigh more. The lanes of odd
// and odds hold 2^8 times too much of the even place beside them until the end:
// to mask it off word by word costs more.
type lanes struct{ even, odd, evens, odds uint64 }

func (l lanes) add(word uint64) lanes {
	word ^= 0x8080808080808080
	l.evens += l.even
	l.odds += l.odd
	l.even += word & 0x00ff00ff00ff00ff
	l.odd += word >> 8
	return l
}

// sums returns the sum of all bytes, and of all prefix sums, modulo 2^16 at
// least.
func (l lanes) sums() (sum, prefixes uint64) {
	l.odd -= l.even >> 16 << 8
	l.odds -= l.evens >> 16 << 8
	// A product's top lane is the sum of the four lanes, weighted. No lane below
	// it may reach 2^16: 3*255*56 = 42840 and 8*255*(8+6+4) = 36720 are the most.
	const ones = 0x0001000100010001
	sum = (l.even + l.odd) * ones >> 48
	prefixes = 8*((l.evens+l.odds)*ones>>48) + l.even*0x0008000600040002>>48 + l.odd*0x0007000500030001>>48
	return sum, prefixes
}
