package rsyncproto

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

// BenchmarkFirstCopy is the server's part of a pull by a client that has no file
// yet: real files of 100 bytes, in memory where /dev/shm is.
func BenchmarkFirstCopy(b *testing.B) {
	const files = 10_000
	dir, fsys := realFiles(b, files)
	for i := range files {
		name := filepath.Join(dir, dirName(i/perDir), fileName(i))
		if err := os.WriteFile(name, bytes.Repeat([]byte("x"), 100), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	client := copyingClient(files)
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender -logDtpre.LsfxCIvu . /", FS: fsys,
			Stdin: bytes.NewReader(client), Stdout: io.Discard, Stderr: io.Discard, Abort: func() {}, Seed: 1,
		})
		if res.Err != nil || res.ExitStatus != 0 || res.Sent != files {
			b.Fatalf("%d files of %d, status %d, %v", res.Sent, files, res.ExitStatus, res.Err)
		}
	}
	b.ReportMetric((cpuTime(b)-before)/float64(b.N)/files, "cpu-ns/file")
}

// copyingClient is all that a client of protocol 32 says, without incremental
// recursion, that wants every file of a tree with that many.
func copyingClient(files int) []byte {
	var in bytes.Buffer
	in.Write(opening())
	w := wire.NewWriter(&in)
	w.Frame()
	for i := range int32(files) {
		// In front are the top and the directories, each before its files.
		w.Ndx(32, 1+i/perDir+1+i)
		w.Short(itemTransfer)
		for range 4 {
			w.Int(0)
		}
	}
	for range 5 {
		w.Ndx(32, wire.NdxDone)
	}
	w.Flush()
	return in.Bytes()
}
