package delta_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"rrserve/internal/rsyncproto/checksum"
	. "rrserve/internal/rsyncproto/delta"
)

// discard is a token.Writer without a client.
type discard struct{ matches int }

func (*discard) Literal([]byte) error        { return nil }
func (d *discard) Match(int32, []byte) error { d.matches++; return nil }
func (*discard) End() error                  { return nil }

const benchSize = 64 << 20

func fill(seed uint64) []byte {
	p := make([]byte, benchSize)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(p)
	return p
}

// blockLength is what a stock client chooses.
func blockLength(n int) int { return max(700, int(math.Sqrt(float64(n)))&^7) }

func BenchmarkSearch(b *testing.B) {
	basis := fill(1)
	edited := bytes.Clone(basis)
	// One percent of the blocks changed, one byte in each.
	r := rand.New(rand.NewPCG(1, 1))
	n := blockLength(benchSize)
	for range benchSize / n / 100 {
		edited[r.IntN(benchSize)]++
	}
	for _, file := range []struct {
		name string
		data []byte
	}{
		{"same", basis}, {"1%edited", edited}, {"new", fill(2)}, {"zeros", make([]byte, benchSize)},
	} {
		for _, c := range []struct {
			name string
			checksum.Config
		}{
			{"xxh128", checksum.Config{Algorithm: checksum.XXH128, Seed: 1}},
			{"md5", checksum.Config{Algorithm: checksum.MD5, Seed: 1, SeedFirst: true}},
		} {
			b.Run(file.name+"/"+c.name, func(b *testing.B) {
				s := sums(b, c.Config, basis, n, 3)
				sender := NewSender(c.Config)
				b.SetBytes(benchSize)
				for b.Loop() {
					sender.Search(bytes.NewReader(file.data), benchSize, s, false, new(discard))
				}
			})
		}
	}
}

func BenchmarkSearchSmall(b *testing.B) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	data := fill(1)[:5000]
	s := sums(b, c, data, 700, 2)
	sender := NewSender(c)
	b.ReportAllocs()
	for b.Loop() {
		sender.Search(bytes.NewReader(data), 5000, s, false, new(discard))
	}
}

func BenchmarkWhole(b *testing.B) {
	data := fill(1)
	for _, size := range []int64{1000, 64 << 10, 1<<20 - 1, benchSize} {
		for _, a := range []checksum.Algorithm{checksum.XXH128, checksum.MD5, checksum.None} {
			b.Run(a.Name()+"/"+sizeName(size), func(b *testing.B) {
				s := NewSender(checksum.Config{Algorithm: a, Seed: 1})
				b.SetBytes(size)
				for b.Loop() {
					s.Whole(bytes.NewReader(data[:size]), size, new(discard))
				}
			})
		}
	}
}

func sizeName(n int64) string {
	switch {
	case n >= 1<<20:
		return "large"
	case n >= 1<<20-1:
		return "1M"
	case n >= 64<<10:
		return "64K"
	}
	return "1K"
}

func BenchmarkWeak(b *testing.B) {
	data := fill(1)[:16<<10]
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Weak(data)
	}
}

func BenchmarkReadSums(b *testing.B) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	request := make([]byte, 1<<20*6)
	rand.NewChaCha8([32]byte{}).Read(request)
	b.SetBytes(1 << 20) // one block is one byte
	for b.Loop() {
		if s := readBlocks(b, c, 1<<20, 2, request); s.Len() != 1<<20 {
			b.Fatal(s.Len())
		}
	}
}
