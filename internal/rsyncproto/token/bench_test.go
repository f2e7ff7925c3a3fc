package token_test

import (
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/wire"
)

// goSource is the toolchain's own source, up to 16 MB of text.
var goSource = sync.OnceValues(func() ([]byte, error) {
	const limit = 16 << 20
	var p []byte
	err := filepath.WalkDir(filepath.Join(build.Default.GOROOT, "src"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") {
			return err
		}
		if len(p) >= limit {
			return filepath.SkipAll
		}
		text, err := os.ReadFile(name)
		p = append(p, text...)
		return err
	})
	return p[:min(len(p), limit)], err
})

// countingWriter is where a benchmark's stream goes.
type countingWriter struct{ n int64 }

func (c *countingWriter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// sendFiles sends data as files of size bytes.
func sendFiles(tw token.Writer, data []byte, size int) {
	for len(data) > 0 {
		n := min(len(data), size)
		for p := data[:n]; len(p) > 0; {
			k := min(len(p), 32768)
			tw.Literal(p[:k])
			p = p[k:]
		}
		tw.End()
		data = data[n:]
	}
}

// sendDense sends data as a file of which every third block has changed.
func sendDense(tw token.Writer, data []byte) {
	const block = 700
	for i := 0; (i+1)*block <= len(data); i++ {
		p := data[i*block : (i+1)*block]
		if i%3 == 2 {
			tw.Literal(p)
		} else {
			tw.Match(int32(i), p)
		}
	}
	tw.End()
}

func BenchmarkWriter(b *testing.B) {
	text, err := goSource()
	if err != nil {
		b.Fatal(err)
	}
	random := noise(len(text))
	for _, c := range []struct {
		m      token.Method
		levels []int
	}{
		{token.None, []int{0}},
		{token.Zlib, []int{1, 6, 9}},
		{token.Zlibx, []int{6}},
		{token.Zstd, []int{1, 3, 6}},
		{token.LZ4, []int{0}},
	} {
		for _, level := range c.levels {
			for _, load := range []struct {
				name string
				data []byte
				send func(token.Writer, []byte)
			}{
				{"text", text, func(tw token.Writer, p []byte) { sendFiles(tw, p, len(p)) }},
				{"text-4k-files", text, func(tw token.Writer, p []byte) { sendFiles(tw, p, 4096) }},
				{"text-dense-delta", text, sendDense},
				{"random", random, func(tw token.Writer, p []byte) { sendFiles(tw, p, len(p)) }},
				{"random-4k-files", random, func(tw token.Writer, p []byte) { sendFiles(tw, p, 4096) }},
			} {
				b.Run(fmt.Sprintf("%v-%d/%s", c.m, level, load.name), func(b *testing.B) {
					b.SetBytes(int64(len(load.data)))
					b.ReportAllocs()
					var out countingWriter
					w := wire.NewWriter(&out)
					tw := newWriter(b, w, c.m, level, 32)
					for b.Loop() {
						load.send(tw, load.data)
					}
					w.Flush()
					b.ReportMetric(100*float64(out.n)/float64(b.N*len(load.data)), "%size")
				})
			}
		}
	}
}

// What a session costs before its first byte is out.
func BenchmarkNewSession(b *testing.B) {
	for _, c := range []struct {
		m     token.Method
		level int
	}{{token.Zlib, 6}, {token.Zlib, 9}, {token.Zstd, 1}, {token.Zstd, 3}, {token.Zstd, 6}, {token.Zstd, 10}, {token.LZ4, 0}} {
		b.Run(fmt.Sprintf("%v-%d", c.m, c.level), func(b *testing.B) {
			b.ReportAllocs()
			w := wire.NewWriter(io.Discard)
			for b.Loop() {
				tw := newWriter(b, w, c.m, c.level, 32)
				tw.Literal([]byte("hello\n"))
				tw.End()
			}
		})
	}
}
