package delta

import (
	"encoding/binary"
	"slices"

	"rrserve/internal/rsyncproto/wire"
)

// MemoryLimit is a sensible bound for the signatures of one request, in bytes:
// it holds those of a file of 900 GiB in blocks of 128 KiB.
const MemoryLimit = 256 << 20

// maxSearchBlock is the longest block that is searched for: the search keeps
// several of them in memory. Clients choose more only below protocol 30, and by
// themselves only for files over 16 TiB.
const maxSearchBlock = 4 << 20

// Sums holds the signatures of the first blocks of the client's file.
type Sums struct {
	head   Head
	weak   []uint32
	strong []byte // head.Strong bytes per block
}

// blockCost is the memory for one block besides its strong sum: the weak sum
// and the index, see newIndex.
const blockCost = 4 + 4 + 8 + 4

// Memory is what ReadSums needs to keep all signatures, in bytes.
func (h Head) Memory() int64 { return int64(h.Count) * (blockCost + int64(h.Strong)) }

// ReadSums reads the block signatures that follow the head h. It keeps as many
// blocks as limit bytes of memory hold, the index for the search included, and
// drops the others; they will not be found. Memory grows as signatures arrive.
// The error is the Reader's.
func ReadSums(r *wire.Reader, h Head, limit int64) (*Sums, error) {
	s := &Sums{head: h}
	keep := int(max(0, min(int64(h.Count), limit/(blockCost+int64(h.Strong)))))
	if h.Strong == 0 || h.BlockLength > maxSearchBlock {
		keep = 0
	}
	size := 4 + int(h.S2Length)
	batch := make([]byte, min(keep, 8<<10/size)*size)
	for len(s.weak) < keep && r.Err() == nil {
		p := batch[:min(len(batch), (keep-len(s.weak))*size)]
		if r.Full(p); r.Err() != nil {
			break
		}
		s.grow(len(p)/size, keep)
		for ; len(p) > 0; p = p[size:] {
			s.weak = append(s.weak, binary.LittleEndian.Uint32(p))
			s.strong = append(s.strong, p[4:4+h.Strong]...)
		}
	}
	r.Skip(int64(int(h.Count)-keep) * int64(size))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// grow makes room for n more of at most limit blocks. It doubles the room, so
// that a count that the peer only announces costs nothing.
func (s *Sums) grow(n, limit int) {
	have := len(s.weak)
	if have+n <= cap(s.weak) {
		return
	}
	room := min(max(2*have, have+n), limit) - have
	s.weak = slices.Grow(s.weak, room)
	s.strong = slices.Grow(s.strong, room*int(s.head.Strong))
}

// Head returns the head that the signatures belong to.
func (s *Sums) Head() Head { return s.head }

// Len returns the number of blocks that were kept.
func (s *Sums) Len() int { return len(s.weak) }

// short returns the number of the last block if it is shorter than the others
// and was kept, or -1.
func (s *Sums) short() int32 {
	last := s.head.Count - 1
	if len(s.weak) == 0 || int(last) >= len(s.weak) || s.head.Remainder == 0 || s.head.Remainder == s.head.BlockLength {
		return -1
	}
	return last
}

// strongOf returns the strong sum of block i.
func (s *Sums) strongOf(i int32) []byte {
	n := int(s.head.Strong)
	return s.strong[int(i)*n:][:n]
}
