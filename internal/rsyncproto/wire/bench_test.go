package wire

import (
	"bytes"
	"io"
	"testing"
)

// answer writes what a client gets for one file: the item, the sum head, the data
// and their sum.
func answer(w *Writer, ndx int32, data []byte) {
	w.Ndx(32, ndx)
	w.Short(0x8000)
	for range 4 {
		w.Int(0)
	}
	w.Int(int32(len(data)))
	w.Write(data)
	w.Int(0)
	w.Write(make([]byte, 16))
}

// BenchmarkFrames frames small and large files.
func BenchmarkFrames(b *testing.B) {
	for name, size := range map[string]int{"100": 100, "32KiB": 32 << 10} {
		b.Run(name, func(b *testing.B) {
			data := make([]byte, size)
			w := NewWriter(io.Discard)
			w.Frame()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for ndx := int32(0); b.Loop(); ndx++ {
				answer(w, ndx&0xffffff, data)
			}
		})
	}
}

// Neither an answer nor its frames, nor a request, take memory.
func TestNoAllocations(t *testing.T) {
	data := make([]byte, 3*maxFrame)
	w := NewWriter(io.Discard)
	w.Frame()
	if n := testing.AllocsPerRun(100, func() { answer(w, 1, data) }); n != 0 {
		t.Errorf("writing an answer: %v allocations", n)
	}
	in := written(func(w *Writer) {
		w.Ndx(32, 5)
		w.Short(0x8000)
		w.Int(700)
	})
	const runs = 100
	r := NewReader(bytes.NewReader(bytes.Repeat(in, runs+1)))
	read := func() {
		r.Ndx(32)
		r.Short()
		r.Int("block length", 0, 1000)
	}
	if n := testing.AllocsPerRun(runs, read); n != 0 || r.Err() != nil {
		t.Errorf("reading a request: %v allocations, %v", n, r.Err())
	}
}
