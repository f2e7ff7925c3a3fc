package tokentest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/wire"
)

// blockLengths are those of a script's bases. The long ones are beyond what
// deflate can store in one block.
var blockLengths = [...]int{1, 700, 2048, 32768, 65535, 65536, 131072, 100000}

// minOutput and outputSteps bound the content of a script, in bytes: it has
// minOutput shifted by less than outputSteps.
const (
	minOutput   = 16 << 10
	outputSteps = 6
)

// Script is a session made from bytes: any bytes are a valid one. It writes
// several files and knows their content.
type Script struct {
	ops   []byte
	data  []byte // source of literals and blocks
	block int    // length of a block
	left  int    // bytes that may still be added
	file  []byte
	files [][]byte
}

// NewScript returns the session of b.
func NewScript(b []byte) *Script {
	s := &Script{ops: b}
	s.left = minOutput << (s.next() % outputSteps)
	s.block = blockLengths[s.next()%len(blockLengths)]
	s.data = materials[s.next()%len(materials)]()
	return s
}

var materials = [...]func() []byte{
	sync.OnceValue(func() []byte { return material(1) }),
	sync.OnceValue(func() []byte { return material(2) }),
	sync.OnceValue(func() []byte { return material(3) }),
}

// material is a megabyte in which text, repetitions and noise alternate.
func material(seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, 0, 1<<20)
	for len(p) < 1<<20 {
		n := 1 + rnd.IntN(20000)
		switch rnd.IntN(3) {
		case 0:
			for end := len(p) + n; len(p) < end; {
				p = fmt.Appendf(p, "line %06d the quick brown fox\n", rnd.IntN(3000))
			}
		case 1:
			p = append(p, bytes.Repeat([]byte{byte(n)}, n)...)
		case 2:
			for range n {
				p = append(p, byte(rnd.Uint32()))
			}
		}
	}
	return p
}

func (s *Script) next() int {
	if len(s.ops) == 0 {
		return 0
	}
	b := s.ops[0]
	s.ops = s.ops[1:]
	return int(b)
}

// Basis is the client's file: block i is a stretch of the material.
func (s *Script) Basis(i int32) ([]byte, error) {
	at := int(uint32(i)*2654435761>>8) % (len(s.data) - s.block)
	return s.data[at : at+s.block], nil
}

// Play writes the session.
func (s *Script) Play(w token.Writer) error {
	for len(s.ops) > 0 {
		if err := s.step(w); err != nil {
			return err
		}
	}
	return s.end(w)
}

func (s *Script) step(w token.Writer) error {
	op := s.next()
	switch op & 7 {
	case 0: // end of a file
		return s.end(w)
	case 1: // a long literal
		return s.literal(w, s.place(), s.next()<<9|s.next())
	case 2: // a few bytes
		return s.literal(w, s.place(), op>>3)
	case 3: // a repetition of what was just sent, so that references reach back
		n := min(len(s.file), s.next()<<4)
		back := min(len(s.file), n+s.place()%66000)
		return s.send(w, s.file[len(s.file)-back:][:n])
	case 4: // a run of blocks
		return s.match(w, int32(s.place()), 1+op>>3)
	case 5: // a block with a small number
		return s.match(w, int32(op>>3), 1)
	case 6: // the last possible blocks
		return s.match(w, 1<<31-2-int32(op>>3), 1)
	default: // a medium literal
		return s.literal(w, s.place(), s.next()<<2)
	}
}

func (s *Script) place() int { return s.next()<<12 | s.next()<<4 }

func (s *Script) literal(w token.Writer, at, n int) error {
	at %= len(s.data)
	return s.send(w, s.data[at:min(at+n, len(s.data))])
}

func (s *Script) send(w token.Writer, p []byte) error {
	if len(p) > s.left {
		return nil
	}
	s.left -= len(p)
	p = bytes.Clone(p)
	s.file = append(s.file, p...)
	err := w.Literal(p)
	clear(p) // the Writer must not have kept it
	return err
}

func (s *Script) match(w token.Writer, first int32, n int) error {
	for i := range int32(n) {
		p, err := s.Basis(first + i)
		if err != nil || s.left < len(p) {
			return err
		}
		s.left -= len(p)
		s.file = append(s.file, p...)
		p = bytes.Clone(p)
		if err := w.Match(first+i, p); err != nil {
			return err
		}
		clear(p)
	}
	return nil
}

func (s *Script) end(w token.Writer) error {
	s.files = append(s.files, s.file)
	s.file = nil
	return w.End()
}

// RoundTrip plays the session of script through a Writer and a Decoder and
// returns the length of the stream. An error says where they differ.
func RoundTrip(script []byte, m token.Method, level int, v wire.Version) (int, error) {
	var stream bytes.Buffer
	out := wire.NewWriter(&stream)
	n := 0
	hurry := func(int) bool { n++; return n > 4 && n <= 8 } // three frames
	w, err := token.NewCompressed(out, m, level, v, hurry)
	if err != nil {
		return 0, err
	}
	s := NewScript(script)
	if err := s.Play(w); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	if m != token.Zstd && m != token.LZ4 && m.Level(level) == 0 {
		m = token.None
	}
	r := wire.NewReader(bytes.NewReader(stream.Bytes()))
	d := NewDecoder(r, m, v)
	defer d.Close()
	for i, want := range s.files {
		got, err := d.File(s.Basis)
		if err != nil {
			return 0, fmt.Errorf("file %d of %d: %w", i, len(s.files), err)
		}
		if !bytes.Equal(got, want) {
			return 0, fmt.Errorf("file %d of %d: got %d bytes, want %d, different from %d on",
				i, len(s.files), len(got), len(want), commonPrefix(got, want))
		}
	}
	if n := int(r.Count()); n != stream.Len() {
		return 0, fmt.Errorf("%d bytes after the last file", stream.Len()-n)
	}
	return stream.Len(), nil
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
