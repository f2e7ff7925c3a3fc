package delta_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"rrserve/internal/rsyncproto/checksum"
	. "rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/delta/deltatest"
	"rrserve/internal/rsyncproto/wire"
)

func TestReadHead(t *testing.T) {
	for _, c := range []struct {
		name                        string
		v                           wire.Version
		digest                      int
		count, block, s2, remainder int
		err                         string
		wantStrong                  int32
		wantBasis                   int64
	}{
		{"nothing", 31, 16, 0, 0, 0, 0, "", 0, 0},
		{"nothing, openrsync", 27, 16, 0, 700, 2, 0, "", 2, 0},
		{"usual", 31, 16, 3, 700, 2, 100, "", 2, 1500},
		{"no remainder", 31, 16, 3, 700, 2, 0, "", 2, 2100},
		{"remainder of a whole block", 31, 16, 3, 700, 2, 700, "", 2, 2100},
		{"second pass, short digest", 31, 8, 3, 700, 16, 0, "", 8, 2100},
		{"second pass, long digest", 31, 20, 3, 700, 20, 0, "", 20, 2100},
		{"no checksum", 31, 1, 0, 0, 0, 0, "", 0, 0},
		{"largest", 30, 16, math.MaxInt32, 131072, 16, 0, "", 16, math.MaxInt32 * 131072},
		{"largest of old clients", 29, 16, math.MaxInt32, 512 << 20, 16, 1, "", 16, math.MaxInt32*(512<<20) - (512<<20 - 1)},
		{"count", 31, 16, -1, 700, 2, 0, "Invalid checksum count -1 [sender]", 0, 0},
		{"count first", 31, 16, -1, -1, -1, -1, "Invalid checksum count -1 [sender]", 0, 0},
		{"block length", 31, 16, 1, 131073, 2, 0, "Invalid block length 131073 [sender]", 0, 0},
		{"old block length", 29, 16, 1, 512<<20 + 1, 2, 0, "Invalid block length 536870913 [sender]", 0, 0},
		{"negative block length", 29, 16, 1, -5, -1, 0, "Invalid block length -5 [sender]", 0, 0},
		{"zero block length", 31, 16, 1, 0, -1, 0, "Invalid zero block length [sender]", 0, 0},
		{"checksum length", 31, 16, 1, 700, 17, -1, "Invalid checksum length 17 [sender]", 0, 0},
		{"checksum length, short digest", 31, 8, 1, 700, 17, -1, "Invalid checksum length 17 [sender]", 0, 0},
		{"checksum length, long digest", 31, 20, 1, 700, 21, -1, "Invalid checksum length 21 [sender]", 0, 0},
		{"negative checksum length", 31, 16, 1, 700, -1, -1, "Invalid checksum length -1 [sender]", 0, 0},
		{"remainder", 31, 16, 1, 700, 2, 701, "Invalid remainder length 701 [sender]", 0, 0},
		{"negative remainder", 31, 16, 1, 700, 2, -1, "Invalid remainder length -1 [sender]", 0, 0},
		{"remainder without blocks", 31, 16, 0, 0, 0, 1, "Invalid remainder length 1 [sender]", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := deltatest.Head(c.count, c.block, c.s2, c.remainder)
			h, err := ReadHead(wire.NewReader(bytes.NewReader(in)), c.v, c.digest)
			if c.err != "" {
				var he *HeadError
				if !errors.As(err, &he) || err.Error() != c.err || h != (Head{}) {
					t.Errorf("%v, %v, want %s", h, err, c.err)
				}
				return
			}
			want := Head{int32(c.count), int32(c.block), int32(c.s2), int32(c.remainder), c.wantStrong}
			if err != nil || h != want || h.BasisLength() != c.wantBasis {
				t.Errorf("%+v of %d bytes, %v", h, h.BasisLength(), err)
			}
			var echo bytes.Buffer
			w := wire.NewWriter(&echo)
			h.Write(w)
			w.Flush()
			if want := deltatest.Head(c.count, c.block, int(c.wantStrong), c.remainder); !bytes.Equal(echo.Bytes(), want) {
				t.Errorf("echo % x, want % x", echo.Bytes(), want)
			}
		})
	}
}

func TestReadHeadEnds(t *testing.T) {
	in := deltatest.Head(1, 700, 2, 0)
	for n := range in {
		_, err := ReadHead(wire.NewReader(bytes.NewReader(in[:n])), 31, 16)
		if err != io.ErrUnexpectedEOF {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func readLimited(t *testing.T, request []byte, c checksum.Config, limit int64) *Sums {
	t.Helper()
	r := wire.NewReader(bytes.NewReader(append(request, 0x5a)))
	h, err := ReadHead(r, 31, c.Algorithm.Size())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSums(r, h, limit)
	if err != nil {
		t.Fatal(err)
	}
	if b := r.Byte(); b != 0x5a {
		t.Fatal("the signatures were not read to their end")
	}
	return s
}

func TestReadSumsKeepsWhatFits(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: 1}
	request := deltatest.Request(c, random(rand.New(rand.NewPCG(1, 1)), 100000), 10, 16)
	for _, tc := range []struct {
		limit int64
		want  int
	}{
		{-1, 0}, {0, 0}, {35, 0}, {36, 1}, {36 * 9999, 9999}, {36 * 10000, 10000}, {MemoryLimit, 10000},
	} {
		if s := readLimited(t, request, c, tc.limit); s.Len() != tc.want {
			t.Errorf("limit %d: %d blocks, want %d", tc.limit, s.Len(), tc.want)
		}
	}
}

func TestReadSumsOfHugeBlocks(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.MD4Auto, Seed: 1}
	in := append(deltatest.Head(3, 512<<20, 2, 0), make([]byte, 3*6)...)
	r := wire.NewReader(bytes.NewReader(in))
	h, err := ReadHead(r, 29, c.Algorithm.Size())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSums(r, h, MemoryLimit)
	if err != nil || s.Len() != 0 || r.Count() != int64(len(in)) {
		t.Errorf("%d blocks, %d bytes read, %v", s.Len(), r.Count(), err)
	}
}

// A count of two thousand million in 16 bytes, and nothing after it.
func TestReadSumsAllocatesAsDataArrives(t *testing.T) {
	in := append(deltatest.Head(math.MaxInt32, 700, 16, 0), make([]byte, 50)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := wire.NewReader(bytes.NewReader(in))
	h, err := ReadHead(r, 31, 16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSums(r, h, MemoryLimit); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 128<<10 {
		t.Errorf("%d bytes allocated", n)
	}
}

// readBlocks reads count signatures from raw.
func readBlocks(tb testing.TB, c checksum.Config, count, s2length int, raw []byte) *Sums {
	tb.Helper()
	in := append(deltatest.Head(count, 700, s2length, 0), raw...)
	r := wire.NewReader(bytes.NewReader(in))
	h, err := ReadHead(r, 31, c.Algorithm.Size())
	if err != nil {
		tb.Fatal(err)
	}
	s, err := ReadSums(r, h, MemoryLimit)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
