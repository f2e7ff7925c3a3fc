package delta

import (
	"math/rand/v2"
	"testing"
)

func TestRollIsWeak(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	p := make([]byte, 3000)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	for i, n := range []int{1, 2, 7, 64, 700, 2999, 3000} {
		blocks := []int{1, smallBlocks + 1}[i%2]
		// A filter that lets everything through stops at each byte.
		x := newIndex(make([]uint32, blocks), new(smallFilter))
		if x.small != nil {
			for i := range x.small {
				x.small[i] = ^uint64(0)
			}
		}
		for i := range x.large {
			x.large[i] = ^uint64(0)
		}
		w := newWindow(p[:n])
		for at := 0; ; at++ {
			if got, want := w.weak(), Weak(p[at:at+n]); got != want {
				t.Fatalf("window of %d at %d: %x, want %x", n, at, got, want)
			}
			if moved, hit := x.roll(&w, p[at:]); !hit {
				if at+n != len(p) || moved != 0 {
					t.Errorf("window of %d: ended at %d", n, at)
				}
				break
			}
		}
	}
}

// What the filters let through costs a look at the index.
func TestFilters(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	p := make([]byte, 1<<20)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	for _, c := range []struct {
		blocks int
		most   float64
	}{{100, 0.0001}, {smallBlocks, 0.002}, {smallBlocks + 1, 0.006}, {1<<17 - 1, 0.02}, {1 << 17, 0.006}} {
		weak := make([]uint32, c.blocks)
		for i := range weak {
			weak[i] = r.Uint32()
		}
		x := newIndex(weak, new(smallFilter))
		w, hits := newWindow(p[:700]), 0
		for at := 0; ; hits++ {
			moved, hit := x.roll(&w, p[at:])
			if at += moved; !hit {
				break
			}
		}
		if rate := float64(hits) / float64(len(p)); rate > c.most {
			t.Errorf("%d blocks: %.5f of all places pass the filter", c.blocks, rate)
		}
		// Those that are there always do.
		for i := range 100 {
			copy(weak[i%c.blocks:], []uint32{Weak(p[i*1000+1:][:700])})
		}
		x = newIndex(weak, new(smallFilter))
		for i := range 100 {
			w := newWindow(p[i*1000:][:700])
			if moved, hit := x.roll(&w, p[i*1000:][:701]); !hit || moved != 1 {
				t.Errorf("%d blocks: block %d does not pass the filter", c.blocks, i)
			}
		}
	}
}

func BenchmarkRoll(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, blocks := range []int{100, 8192, 128 << 10, 1 << 20} {
		weak := make([]uint32, blocks)
		for i := range weak {
			weak[i] = r.Uint32()
		}
		p := make([]byte, 256<<10)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		x := newIndex(weak, new(smallFilter))
		b.Run(map[int]string{100: "100", 8192: "8K", 128 << 10: "128K", 1 << 20: "1M"}[blocks], func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				w := newWindow(p[:8192])
				for at := 0; ; {
					moved, hit := x.roll(&w, p[at:])
					if at += moved; !hit {
						break
					}
				}
			}
		})
	}
}
