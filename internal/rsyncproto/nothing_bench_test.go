package rsyncproto

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
)

// perDir is the number of files in each directory of the trees below.
const perDir = 250

// BenchmarkNothingToDo is the server's part of a pull by a client that has
// every file already: the scan of the tree and the file list. "files" are real
// ones, in memory where /dev/shm is, "engine" ones that cost no system call.
func BenchmarkNothingToDo(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("engine/%d", n), func(b *testing.B) { benchPull(b, newMadeUp(n/perDir), n, "") })
	}
	b.Run("rules/100000", func(b *testing.B) {
		benchPull(b, newMadeUp(100_000/perDir), 100_000, "- *.o", "- *~", "- /proc/*", "- .cache/", "- node_modules/")
	})
	b.Run("files/20000", func(b *testing.B) { benchPull(b, realTree(b, 20_000), 20_000, "") })
}

// benchPull runs whole sessions with a client that is always ahead.
func benchPull(b *testing.B, fsys vfs.FS, files int, rules ...string) {
	client := contentClient(files/perDir, rules)
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender -logDtpre.iLsfxCIvu . /", FS: fsys,
			Stdin: bytes.NewReader(client), Stdout: io.Discard, Stderr: io.Discard, Abort: func() {}, Seed: 1,
		})
		if want := int64(files + files/perDir + 1); res.Err != nil || res.ExitStatus != 0 || res.Listed != want {
			b.Fatalf("%d entries of %d, status %d, %v", res.Listed, want, res.ExitStatus, res.Err)
		}
	}
	b.ReportMetric((cpuTime(b)-before)/float64(b.N)/float64(files), "cpu-ns/file")
}

// contentClient is all that a client of protocol 32 says that wants nothing
// from a tree with that many directories below its top.
func contentClient(dirs int, rules []string) []byte {
	out := binary.LittleEndian.AppendUint32(nil, 32)
	out = append(out, "\x03md5"...)
	var data []byte
	for _, r := range rules {
		if r != "" {
			data = binary.LittleEndian.AppendUint32(data, uint32(len(r)))
			data = append(data, r...)
		}
	}
	data = binary.LittleEndian.AppendUint32(data, 0)
	// NDX_DONE for each list and two more phases, and to say goodbye twice.
	data = append(data, make([]byte, dirs+1+2+2)...)
	return append(binary.LittleEndian.AppendUint32(out, 7<<24|uint32(len(data))), data...)
}

// cpuTime is what the process used, in nanoseconds.
func cpuTime(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

// realTree is a tree of that many empty files as the server sees it.
func realTree(b *testing.B, files int) vfs.FS {
	_, fsys := realFiles(b, files)
	return fsys
}

// realFiles is realTree with the directory where it is.
func realFiles(b *testing.B, files int) (string, vfs.FS) {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "rrserve-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	for i := range files {
		name := filepath.Join(dir, dirName(i/perDir), fileName(i))
		if i%perDir == 0 {
			err = os.Mkdir(filepath.Dir(name), 0o755)
		}
		if err == nil {
			err = os.WriteFile(name, nil, 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	root, err := jail.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	return dir, vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(root, "/")), vfs.Flags{NoFollow: jail.NoFollow})
}

func dirName(i int) string  { return fmt.Sprintf("directory-%04d", i) }
func fileName(i int) string { return fmt.Sprintf("file-%07d", i) }

// madeUp is a tree whose directories all have the same files.
type madeUp struct {
	vfs.FS
	top, files []vfs.Info
}

func newMadeUp(dirs int) madeUp {
	m := madeUp{top: make([]vfs.Info, dirs), files: make([]vfs.Info, perDir)}
	for i := range m.top {
		m.top[i] = vfs.Info{Name: dirName(i), Mode: vfs.ModeDir | 0o755, Nlink: 2}
	}
	for i := range m.files {
		m.files[i] = vfs.Info{
			Name: fileName(i * 7919 % perDir), Mode: vfs.ModeRegular | 0o644, Size: int64(i * 100), Nlink: 1,
			Mtime: vfs.Time{Sec: 1_600_000_000 + int64(i)*1000, Nsec: uint32(i)},
		}
	}
	return m
}

func (m madeUp) Lstat(p vfs.Path) (vfs.Info, error) {
	return vfs.Info{Name: p.Base(), Mode: vfs.ModeDir | 0o755, Nlink: 2}, nil
}

func (m madeUp) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	if p.IsRoot() {
		return append(buf[:0], m.top...), nil
	}
	return append(buf[:0], m.files...), nil
}
