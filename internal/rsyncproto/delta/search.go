package delta

import (
	"bytes"
	"io"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/token"
)

// maxChain bounds the blocks of one weak sum that are compared at one offset.
const maxChain = 1024

// Search sends the file with references to blocks in sums where it can. With
// inPlace set the client overwrites the very file that the blocks are in
// (section 4.10).
func (s *Sender) Search(file io.ReaderAt, size int64, sums *Sums, inPlace bool, out token.Writer) (Result, error) {
	if sums.Len() == 0 || size == 0 {
		return s.Whole(file, size, out)
	}
	m := s.newSearch(sums, size, out, inPlace)
	src := s.source(file, 0, size)
	// In a file shorter than a block the whole file is what one chunk leaves.
	room := int(min(int64(sums.head.BlockLength), size))
	s.tail = s.tail[:0]
	for p := range src.chunks(&s.buf, room, max(chunkSize, room)) {
		// What the last chunk left begins the window that this chunk completes.
		p = p[room-len(s.tail):]
		copy(p, s.tail)
		rest, err := m.chunk(p)
		if err != nil {
			return Result{}, err
		}
		s.tail = append(s.tail[:0], rest...)
	}
	if err := m.last(s.tail); err != nil {
		return Result{}, err
	}
	return s.end(m.Result, src, out)
}

// search is the matching of one file.
type search struct {
	Result
	sums    *Sums
	index   *index
	block   *checksum.Block
	strong  [checksum.MaxSize]byte
	out     token.Writer
	length  int   // of a full block
	short   int32 // the last block if it is shorter, or none
	inPlace bool
	// kept has a bit for each block that was referenced at its own offset: in
	// place, its bytes stay what they are.
	kept []uint64

	pos    int64  // offset in the file of the window
	want   int32  // block after the one matched last
	window window // over the bytes at pos, unless fresh
	fresh  bool   // the window at pos is not computed yet
	budget int64  // see workLimit
	wrong  int64  // how many more guesses may be wrong, see wrongGuesses
}

// workLimit is what a search of size bytes, with blocks that cover basis bytes,
// may spend on blocks that look alike but are not, in bytes hashed. A peer can
// make every offset cost a hash of a whole block (CVE-2026-70453 is of this kind),
// against which a bound per offset is no bound.
//
// Where nothing of a file is found, chance takes size*basis/2^32 of it: each
// offset has the weak sum of one of basis/length blocks once in 2^32 times, and
// then costs length. The limit is twice that, which counts from some 32 GiB on,
// and enough for the candidates of the index, below 13 bytes per offset with the
// most blocks that are kept. A basis beyond the file's own size is the peer's
// word alone and does not count; nor does a size beyond 64 TiB.
func workLimit(size, basis int64) int64 {
	size = min(size, 64<<40)
	return 64<<20 + 16*size + (size>>16)*(min(size, basis)>>15)
}

// wrongGuesses is how often the block that is expected next may be looked for
// by its strong sum of this many bytes alone and not be there. To compute the
// weak sum as well costs more than all the rest of a match, but together with
// it strong sums may be short. So that not even one file in 4096 has to be sent
// again because of a guess, 3 bytes allow for 4096 wrong ones and 4 for a
// million. Clients send 2 for files below 32 MiB: these do without guesses.
func wrongGuesses(strong int32) int64 {
	if strong < 3 {
		return 0
	}
	return 1 << min(8*strong-12, 62)
}

// candidateCost is what looking at one candidate costs, in bytes hashed: with 10
// million blocks of one weak sum a search of 2 GiB takes ten to twenty seconds.
const candidateCost = 64

func (s *Sender) newSearch(sums *Sums, size int64, out token.Writer, inPlace bool) *search {
	m := &search{
		sums: sums, block: s.block, out: out, inPlace: inPlace, fresh: true,
		length: int(sums.head.BlockLength), short: sums.short(),
		budget: workLimit(size, int64(sums.Len())*int64(sums.head.BlockLength)),
		wrong:  wrongGuesses(sums.head.Strong),
	}
	if s.filter == nil {
		s.filter = new(smallFilter)
	}
	full := sums.weak
	if m.short != none {
		full = full[:m.short]
	}
	m.index = newIndex(full, s.filter)
	if inPlace {
		m.kept = make([]uint64, len(sums.weak)/64+1)
	}
	return m
}

// chunk searches p, which continues the file at pos, as far as whole windows
// reach, sends what it is sure of and returns the rest: at most one block.
func (m *search) chunk(p []byte) ([]byte, error) {
	at, literal := 0, 0 // the window, the first byte that is not sent
	for m.budget > 0 {
		block, n := int32(none), m.length
		if m.fresh && m.want == m.short && m.want != none && m.isShort(p[at:]) {
			block, n = m.short, int(m.sums.head.Remainder)
		} else if at+n > len(p) {
			break
		} else if m.fresh {
			if block = m.guess(p[at : at+n]); block == none {
				m.window, m.fresh = newWindow(p[at:at+n]), false
				block = m.find(p[at : at+n])
			}
		}
		if block == none {
			moved, hit := m.index.roll(&m.window, p[at:])
			at += moved
			m.pos += int64(moved)
			if !hit {
				break
			}
			if block = m.find(p[at : at+n]); block == none {
				continue
			}
		}
		if err := m.match(block, p[literal:at], p[at:at+n]); err != nil {
			return nil, err
		}
		at += n
		literal = at
	}
	if m.budget <= 0 {
		m.pos += int64(len(p) - at)
		at = len(p)
	}
	return p[at:], m.literal(p[literal:at])
}

// last sends p, the end of the file behind the last window that was looked at.
// A short last block can only be found at the very end.
func (m *search) last(p []byte) error {
	n := len(p) - int(m.sums.head.Remainder)
	if m.short == none || n < 0 || m.budget <= 0 {
		return m.literal(p)
	}
	m.pos += int64(n)
	if !m.isShort(p[n:]) {
		return m.literal(p)
	}
	return m.match(m.short, p[:n], p[n:])
}

// isShort reports whether p begins with the short last block.
func (m *search) isShort(p []byte) bool {
	n := int(m.sums.head.Remainder)
	return len(p) >= n && m.allowed(m.short) && m.sums.weak[m.short] == Weak(p[:n]) && m.same(m.short, m.sum(p[:n]))
}

func (m *search) sum(p []byte) []byte { return m.block.Sum(m.strong[:0], p) }

// same reports whether block i has the strong sum.
func (m *search) same(i int32, strong []byte) bool {
	return bytes.Equal(m.sums.strongOf(i), strong[:m.sums.head.Strong])
}

// allowed reports whether the client still has block i at the output offset
// pos: in place, a block is gone once the output has come to its offset, unless
// it was left where it is.
func (m *search) allowed(i int32) bool {
	return !m.inPlace || int64(i)*int64(m.length) >= m.pos || m.kept[i/64]>>(i%64)&1 != 0
}

// own returns the block whose place in the client's file is pos, if it is one
// of full length and the client writes in place: it then need not write it.
func (m *search) own() int32 {
	if i := m.pos / int64(m.length); m.inPlace && m.pos%int64(m.length) == 0 && i < int64(len(m.index.weak)) {
		return int32(i)
	}
	return none
}

// next returns the block after the one matched last, if it is one of full
// length. It makes a run, which is short on the wire and easy to read.
func (m *search) next() int32 {
	if m.want < int32(len(m.index.weak)) && m.allowed(m.want) {
		return m.want
	}
	return none
}

// guess returns the block that is expected at pos if the content p of the
// window has its strong sum, or none.
func (m *search) guess(p []byte) int32 {
	i := m.own()
	if i == none {
		i = m.next()
	}
	if i == none || m.wrong <= 0 {
		return none
	}
	if !m.same(i, m.sum(p)) {
		m.wrong--
		return none
	}
	return i
}

// find returns a block of full length that is the content p of the window, or
// none.
func (m *search) find(p []byte) int32 {
	weak := m.window.weak()
	var strong []byte // computed once, for the first candidate
	is := func(i int32) bool {
		if strong == nil {
			strong = m.sum(p)
		}
		if !m.same(i, strong) {
			m.FalseAlarms++
			return false
		}
		return true
	}
	for _, i := range [...]int32{m.own(), m.next()} {
		if i != none && m.index.weak[i] == weak && is(i) {
			return i
		}
	}
	seen := 0
	for i := m.index.bucket(weak); *i != none && seen < maxChain; {
		block := *i
		m.budget -= candidateCost
		if !m.allowed(block) {
			*i = m.index.next[block] // gone for good
			continue
		}
		if m.index.weak[block] == weak {
			if is(block) {
				return block
			}
			seen++
		}
		i = &m.index.next[block]
	}
	if strong != nil {
		m.Hits++
		m.budget -= int64(len(p))
	}
	return none
}

// match sends the literal bytes before a block and the block itself.
func (m *search) match(i int32, literal, data []byte) error {
	if err := m.literal(literal); err != nil {
		return err
	}
	if m.inPlace && int64(i)*int64(m.length) == m.pos {
		m.kept[i/64] |= 1 << (i % 64)
	}
	m.pos += int64(len(data))
	m.Matched += int64(len(data))
	m.Blocks++
	m.Hits++
	m.want, m.fresh = i+1, true
	return m.out.Match(i, data)
}

func (m *search) literal(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	m.Literal += int64(len(p))
	return m.out.Literal(p)
}
