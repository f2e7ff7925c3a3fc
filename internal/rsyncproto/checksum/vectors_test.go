package checksum_test

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/delta"
)

// configs are the algorithm names of testdata/vectors.tsv.
var configs = map[string]checksum.Config{
	"md4-auto":            {Algorithm: checksum.MD4Auto},
	"md4-named":           {Algorithm: checksum.MD4},
	"md4-named-seedfirst": {Algorithm: checksum.MD4, SeedFirst: true},
	"md5":                 {Algorithm: checksum.MD5, SeedFirst: true},
	"md5-seedlast":        {Algorithm: checksum.MD5},
	"sha1":                {Algorithm: checksum.SHA1},
	"xxh64":               {Algorithm: checksum.XXH64},
	"xxh3":                {Algorithm: checksum.XXH3},
	"xxh128":              {Algorithm: checksum.XXH128},
	"none":                {Algorithm: checksum.None},
}

// input builds the data that a row of the vectors describes.
func input(t *testing.T, spec string) []byte {
	t.Helper()
	kind, rest, _ := strings.Cut(spec, ":")
	switch kind {
	case "empty":
		return nil
	case "ascii":
		return []byte(rest)
	case "rep":
		value, count, _ := strings.Cut(rest, ":")
		b, err := strconv.ParseUint(value, 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.Repeat(string([]byte{byte(b)}), number(t, count)))
	case "ramp":
		p := make([]byte, number(t, rest))
		for i := range p {
			p[i] = byte(i)
		}
		return p
	case "lcg":
		rest, slice, sliced := strings.Cut(rest, "@")
		seed, count, _ := strings.Cut(rest, ":")
		x := uint32(number(t, seed))
		p := make([]byte, number(t, count))
		for i := range p {
			x = (x*1103515245 + 12345) & 0x7fffffff
			p[i] = byte(x >> 16)
		}
		if sliced {
			off, n, _ := strings.Cut(slice, "+")
			p = p[number(t, off):][:number(t, n)]
		}
		return p
	}
	t.Fatalf("unknown input %q", spec)
	return nil
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sum computes one row. The data goes in by pieces of several sizes.
func sum(t *testing.T, kind string, c checksum.Config, data []byte) []byte {
	t.Helper()
	var f *checksum.File
	switch kind {
	case "block":
		p := checksum.NewBlock(c).Sum(nil, data)
		return p[:min(16, len(p))]
	case "file":
		f = checksum.NewFile(c)
	case "flist":
		f = checksum.NewList(c.Algorithm)
	default:
		t.Fatalf("unknown kind %q", kind)
	}
	f.Write([]byte("what a file before this one left"))
	f.Reset()
	for n := 1; len(data) > 0; n = n*3 + 1 {
		n = min(n, len(data))
		f.Write(data[:n])
		data = data[n:]
	}
	return f.Sum(nil)
}

// Every row was read off the wire of a reference rsync.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "kind\t") {
			continue
		}
		rows++
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		kind, name, seed, want := f[0], f[1], f[2], f[5]
		data := input(t, f[3])
		if len(data) != number(t, f[4]) {
			t.Fatalf("%s: the input has %d bytes", line, len(data))
		}
		if kind == "weak" {
			var le [4]byte
			binary.BigEndian.PutUint32(le[:], delta.Weak(data))
			if got := hex.EncodeToString(le[:]); got != want {
				t.Errorf("weak sum of %s = %s, want %s", f[3], got, want)
			}
			continue
		}
		c, ok := configs[name]
		if !ok {
			t.Fatalf("unknown algorithm %q", name)
		}
		if seed != "-" {
			c.Seed = int32(number(t, seed))
		}
		if got := hex.EncodeToString(sum(t, kind, c, data)); got != want {
			t.Errorf("%s sum by %s, seed %s, of %s = %s, want %s", kind, name, seed, f[3], got, want)
		}
		// The other sums ignore a seed where the row says that there is none.
		if seed == "-" && kind != "block" {
			c.Seed = -559038737
			if got := hex.EncodeToString(sum(t, kind, c, data)); got != want {
				t.Errorf("%s sum by %s of %s depends on the seed", kind, name, f[3])
			}
		}
	}
	if rows != 545 {
		t.Errorf("%d rows, want 545", rows)
	}
}

func TestBlockAllocatesNothing(t *testing.T) {
	data := make([]byte, 4000)
	dst := make([]byte, 0, checksum.MaxSize)
	for name, c := range configs {
		c.Seed = 77
		b := checksum.NewBlock(c)
		if n := testing.AllocsPerRun(20, func() { b.Sum(dst, data) }); n != 0 {
			t.Errorf("%s: %v allocations for one block", name, n)
		}
	}
}

func BenchmarkFile(b *testing.B) {
	data := make([]byte, 256<<10)
	for name, c := range configs {
		b.Run(name, func(b *testing.B) {
			f := checksum.NewFile(c)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				f.Write(data)
			}
		})
	}
}

func BenchmarkBlock(b *testing.B) {
	data := make([]byte, 16<<10)
	var dst [checksum.MaxSize]byte
	for name, c := range configs {
		c.Seed = 77
		b.Run(name, func(b *testing.B) {
			s := checksum.NewBlock(c)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				s.Sum(dst[:0], data)
			}
		})
	}
}
