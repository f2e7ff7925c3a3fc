package rsyncproto

import (
	"sync/atomic"

	"rrserve/internal/rsyncproto/delta"
)

// SumMemory is what the sessions of a server may use together for the block
// sums of the files that they are sending. When it is used up, the blocks that
// have no room are not searched for: their data is sent.
type SumMemory struct{ left atomic.Int64 }

// NewSumMemory returns a SumMemory of so many bytes.
func NewSumMemory(bytes int64) *SumMemory {
	m := &SumMemory{}
	m.left.Store(bytes)
	return m
}

// take takes as much as is there, up to what the sums of one request may use,
// and returns it with the function that gives it back.
func (m *SumMemory) take(h delta.Head) (limit int64, give func()) {
	limit = min(h.Memory(), delta.MemoryLimit)
	if m == nil {
		return limit, func() {}
	}
	for {
		left := m.left.Load()
		n := min(limit, max(left, 0))
		if m.left.CompareAndSwap(left, left-n) {
			return n, func() { m.left.Add(n) }
		}
	}
}
