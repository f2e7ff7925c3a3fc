package token_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/token/tokentest"
	"rrserve/internal/rsyncproto/wire"
)

// methods are all ways to send tokens that differ in their code.
var methods = []token.Method{token.None, token.Zlib, token.Zlibx, token.Zstd, token.LZ4}

func newWriter(t testing.TB, w *wire.Writer, m token.Method, level int, v wire.Version) token.WriteCloser {
	t.Helper()
	tw, err := token.NewCompressed(w, m, level, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tw
}

// noise is n bytes that no method can compress.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func literal(s string) func(token.Writer) { return func(w token.Writer) { w.Literal([]byte(s)) } }

// blocks matches the blocks first to last.
func blocks(first, last int32) func(token.Writer) {
	return func(w token.Writer) {
		for i := int64(first); i <= int64(last); i++ {
			w.Match(int32(i), []byte("block"))
		}
	}
}

func end(w token.Writer) { w.End() }

func TestLayout(t *testing.T) {
	const topBlock = 1<<31 - 2
	for _, c := range []struct {
		name string
		m    token.Method
		ops  []func(token.Writer)
		want string
	}{
		{"plain empty file", token.None, []func(token.Writer){end}, "00 00 00 00"},
		{"plain empty literal", token.None, []func(token.Writer){literal(""), end}, "00 00 00 00"},
		{"plain literal", token.None, []func(token.Writer){literal("abc"), end}, "03 00 00 00 61 62 63  00 00 00 00"},
		{"plain block 0", token.None, []func(token.Writer){blocks(0, 0), end}, "ff ff ff ff  00 00 00 00"},
		{"plain last block", token.None, []func(token.Writer){blocks(topBlock, topBlock), end}, "01 00 00 80  00 00 00 00"},
		{"plain blocks have no runs", token.None, []func(token.Writer){blocks(0, 1)}, "ff ff ff ff  fe ff ff ff"},

		{"empty file", token.LZ4, []func(token.Writer){end}, "00"},
		{"empty literal", token.LZ4, []func(token.Writer){literal(""), end}, "00"},
		{"literal", token.LZ4, []func(token.Writer){literal("a"), literal("b"), end}, "40 03 20 61 62  00"},
		{"block 0", token.LZ4, []func(token.Writer){blocks(0, 0), end}, "80  00"},
		{"block 63", token.LZ4, []func(token.Writer){blocks(63, 63), end}, "bf  00"},
		{"block 64", token.LZ4, []func(token.Writer){blocks(64, 64), end}, "20 40 00 00 00  00"},
		{"runs", token.LZ4, []func(token.Writer){blocks(0, 12), blocks(14, 14), end}, "c0 0c 00  82  00"},
		{"far run", token.LZ4, []func(token.Writer){blocks(300, 301), end}, "21 2c 01 00 00 01 00  00"},
		{"backwards", token.LZ4, []func(token.Writer){blocks(5, 5), blocks(3, 3), end}, "85  20 03 00 00 00  00"},
		{"the same again", token.LZ4, []func(token.Writer){blocks(0, 0), blocks(0, 0), end}, "80 80  00"},
		{"longest run", token.LZ4, []func(token.Writer){blocks(0, 65535), end}, "c0 ff ff  00"},
		{"run of 65537", token.LZ4, []func(token.Writer){blocks(0, 65536), end}, "c0 ff ff  81  00"},
		{"run of 80000", token.LZ4, []func(token.Writer){blocks(0, 79999), end}, "c0 ff ff  c1 7f 38  00"},
		{"last blocks", token.LZ4, []func(token.Writer){blocks(topBlock-1, topBlock), end}, "21 fd ff ff 7f 01 00  00"},
		{"last block, then block 0", token.LZ4, []func(token.Writer){blocks(topBlock, topBlock), blocks(0, 0), end}, "20 fe ff ff 7f  20 00 00 00 00  00"},
		{"literal in a run", token.LZ4, []func(token.Writer){blocks(0, 0), literal("x"), blocks(1, 1), end}, "80  40 02 10 78  81  00"},
		{"empty literal in a run", token.LZ4, []func(token.Writer){blocks(0, 0), literal(""), blocks(1, 1), end}, "c0 01 00  00"},
		{"numbers restart with a file", token.LZ4, []func(token.Writer){blocks(5, 5), end, blocks(5, 5), end}, "85 00  85 00"},
	} {
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		tw := newWriter(t, w, c.m, token.DefaultLevel, 32)
		for _, op := range c.ops {
			op(tw)
		}
		w.Flush()
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%s: % x, want %s", c.name, b.Bytes(), c.want)
		}
	}
}

func TestPlainSplitsLiterals(t *testing.T) {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	tw := token.NewPlain(w)
	data := noise(2*32768 + 1)
	tw.Literal(data)
	w.Flush()
	r := wire.NewReader(&b)
	for _, want := range [][]byte{data[:32768], data[32768:65536], data[65536:]} {
		n := r.Int("token", 1, 32768)
		if got := r.Bytes("literal", int(n), 32768); !bytes.Equal(got, want) || r.Err() != nil {
			t.Fatalf("%d bytes, want %d, %v", n, len(want), r.Err())
		}
	}
}

func randomScript(rnd *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	return p
}

func TestRandomStreams(t *testing.T) {
	for _, c := range []struct {
		m      token.Method
		levels []int
		v      wire.Version
		n      int
	}{
		{token.None, []int{0}, 32, 300},
		{token.Zlib, []int{1, 6, 9, 2, 3, 4, 5, 7, 8, 0}, 32, 300},
		{token.Zlib, []int{6, 1, 9}, 30, 300},
		{token.Zlibx, []int{1, 6, 9}, 32, 300},
		{token.Zstd, []int{1, 3, 6, 9}, 32, 300},
		{token.Zstd, []int{token.DefaultLevel}, 32, 50},
		{token.Zstd, []int{-7, 19}, 31, 10},
		{token.LZ4, []int{0}, 32, 300},
	} {
		t.Run(fmt.Sprintf("%v-%d-%d", c.m, c.v, c.n), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(c.m), uint64(c.v)))
			for i := range c.n {
				script := randomScript(rnd, 1+rnd.IntN(300))
				level := c.levels[i%len(c.levels)]
				if _, err := tokentest.RoundTrip(script, c.m, level, c.v); err != nil {
					t.Fatalf("stream %d, level %d, script %q: %v", i, level, script, err)
				}
			}
		})
	}
}

// Literals repeat parts of a long block, which receivers below protocol 31 have
// elsewhere in their window than others, or not at all.
func TestLongBlock(t *testing.T) {
	versions := []wire.Version{27, 30, 31, 32}
	for _, n := range []int{65535, 65544, 65600, 98303, 100000, 131070, 131071, 300000} {
		block := noise(n)
		wrong := slices.Concat(block[:65535], block[:n%65535])
		repeated := slices.Concat(wrong[len(wrong)-8000:], block[n-8000:])
		want := slices.Concat(block, repeated)
		for _, written := range versions {
			var b bytes.Buffer
			w := wire.NewWriter(&b)
			tw := newWriter(t, w, token.Zlib, 9, written) // misses no repetition
			tw.Match(0, block)
			tw.Literal(repeated)
			tw.End()
			w.Flush()
			for _, read := range versions {
				d := tokentest.NewDecoder(wire.NewReader(bytes.NewReader(b.Bytes())), token.Zlib, read)
				got, err := d.File(func(int32) ([]byte, error) { return block, nil })
				ok := err == nil && bytes.Equal(got, want)
				if fits := n <= 65535 || (written < 31) == (read < 31); ok != fits {
					t.Errorf("block of %d bytes, protocol %d, receiver %d: decoded %v, want %v, %v", n, written, read, ok, fits, err)
				}
			}
		}
	}
}

// With zlib a literal that repeats matched bytes costs next to nothing, with
// zlibx it costs its length.
func TestMatchedBlocksAreHistory(t *testing.T) {
	block := noise(20000)
	size := func(m token.Method) int {
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		tw := newWriter(t, w, m, 6, 32)
		tw.Match(0, block)
		tw.Literal(block)
		tw.End()
		w.Flush()
		return b.Len()
	}
	if n := size(token.Zlib); n > 1000 {
		t.Errorf("zlib: %d bytes", n)
	}
	if n := size(token.Zlibx); n < 20000 {
		t.Errorf("zlibx: %d bytes", n)
	}
}

// A session has one zstd frame: the second of two equal files is nearly free.
func TestZstdFrameSpansFiles(t *testing.T) {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	tw := newWriter(t, w, token.Zstd, token.DefaultLevel, 32)
	for range 2 {
		tw.Literal(noise(20000))
		tw.End()
	}
	w.Flush()
	if n := bytes.Count(b.Bytes(), []byte("\x28\xb5\x2f\xfd")); n != 1 || b.Len() > 21000 {
		t.Errorf("%d frames, %d bytes", n, b.Len())
	}
}

// TestHurry sends the same files at the default level, then in a hurry, then not,
// as frames of their own. A level by name is never in a hurry.
func TestHurry(t *testing.T) {
	text, err := goSource()
	if err != nil {
		t.Fatal(err)
	}
	text = text[:2<<20]
	send := func(level int) (sizes []int, frames int) {
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		var hurry bool
		tw, err := token.NewCompressed(w, token.Zstd, level, 32, func(int) bool { return hurry })
		if err != nil {
			t.Fatal(err)
		}
		for _, hurry = range []bool{false, true, false} {
			before := b.Len()
			sendFiles(tw, text, 64<<10)
			w.Flush()
			sizes = append(sizes, b.Len()-before)
		}
		return sizes, bytes.Count(b.Bytes(), []byte("\x28\xb5\x2f\xfd"))
	}
	plain, frames := send(3)
	if frames != 1 {
		t.Errorf("level 3: %d frames, want 1", frames)
	}
	sizes, frames := send(token.DefaultLevel)
	if frames != 3 {
		t.Errorf("%d frames, want 3", frames)
	}
	if sizes[0] != plain[0] || sizes[1] < sizes[0]*101/100 || sizes[2] > sizes[0]*101/100 {
		t.Errorf("%d bytes, at level 3 %d", sizes, plain)
	}
}

// A link that breaks where a frame ends is an error like any other.
func TestHurryWriteError(t *testing.T) {
	f := &failing{1 << 30}
	w := wire.NewWriter(f)
	hurry := false
	tw, err := token.NewCompressed(w, token.Zstd, token.DefaultLevel, 32, func(int) bool { return hurry })
	if err != nil {
		t.Fatal(err)
	}
	data := noise(1 << 20)
	tw.Literal(data)
	f.left, hurry = 0, true
	if err := tw.Literal(data); !errors.Is(err, errBroken) {
		t.Errorf("Literal: %v", err)
	}
	if err := tw.End(); !errors.Is(err, errBroken) {
		t.Errorf("End after the error: %v", err)
	}
}

func TestNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, m := range methods {
			tw := newWriter(t, wire.NewWriter(io.Discard), m, token.DefaultLevel, 32)
			tw.Literal(noise(300000))
			tw.End()
		}
		// Here the bubble ends; a goroutine left in it is an error.
	})
}

type failing struct{ left int }

var errBroken = errors.New("broken pipe")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestWriteErrorIsFinal(t *testing.T) {
	for _, m := range methods {
		w := wire.NewWriter(&failing{10000})
		tw := newWriter(t, w, m, token.DefaultLevel, 32)
		data := noise(50000)
		var err error
		for i := 0; i < 10 && err == nil; i++ {
			if err = tw.Literal(data); err == nil {
				err = tw.Match(int32(i), data)
			}
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("%v: error %v", m, err)
		}
		if err := tw.End(); !errors.Is(err, errBroken) {
			t.Errorf("%v: End after the error: %v", m, err)
		}
	}
}

// After the first file nothing is allocated.
func TestAllocs(t *testing.T) {
	block, text := noise(40000), sourceText()
	for _, m := range methods {
		tw := newWriter(t, wire.NewWriter(io.Discard), m, token.DefaultLevel, 30)
		file := func() {
			tw.Literal(text)
			tw.Match(3, block)
			tw.Match(4, block)
			tw.Literal(block)
			tw.Literal(text[:5000])
			tw.Match(9, block)
			tw.End()
		}
		for range 100 { // several windows, so that all buffers have their size
			file()
		}
		if n := testing.AllocsPerRun(20, file); n != 0 {
			t.Errorf("%v: %v allocations per file", m, n)
		}
	}
}
