package delta

import "encoding/binary"

// Weak returns the rolling checksum of p (section 4.5): with bytes taken as
// signed, s1 is the sum of all and s2 the sum of all prefix sums, each modulo
// 2^16; the value is s1 + s2<<16.
func Weak(p []byte) uint32 {
	// A signed byte is its bit pattern with the top bit flipped, less 128. So the
	// loops add up unsigned numbers, eight at a time, and the bias goes at the end.
	const (
		flip  = 0x8080808080808080
		lanes = 0x00ff00ff00ff00ff // every second byte, each with room to grow to 16 bits
		ones  = 0x0001000100010001
	)
	k := uint64(len(p))
	var s1, s2 uint64
	for len(p) >= 64 {
		q := p[:64:64]
		// even and odd add up the bytes at even and odd places; evens and odds
		// add up the sums before each word, so that earlier words weigh more.
		var even, odd, evens, odds uint64
		for i := 0; i < 64; i += 8 {
			x := binary.LittleEndian.Uint64(q[i:]) ^ flip
			evens += even
			odds += odd
			even += x & lanes
			odd += x >> 8 & lanes
		}
		// A product's top lane is the sum of the four lanes, weighted; no lane
		// below it reaches 2^16, as 8*255*(8+6+4) = 36720 is the most.
		s2 += 64*s1 + 8*((evens*ones>>48)+(odds*ones>>48)) +
			even*0x0008000600040002>>48 + odd*0x0007000500030001>>48
		s1 += even*ones>>48 + odd*ones>>48
		p = p[64:]
	}
	for _, b := range p {
		s1 += uint64(b ^ 0x80)
		s2 += s1
	}
	s1 -= 128 * k
	s2 -= 64 * k * (k + 1)
	return uint32(s1)&0xffff | uint32(s2)<<16
}
