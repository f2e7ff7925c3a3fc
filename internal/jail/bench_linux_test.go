package jail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

const (
	deep   = "a/b/c/d/file"
	listed = 10_000 // entries of the directory "list"
)

func benchTree(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	must(b, os.MkdirAll(filepath.Join(dir, filepath.Dir(deep)), 0o755))
	write(b, filepath.Join(dir, deep), string(make([]byte, 4096)))
	must(b, os.Mkdir(filepath.Join(dir, "list"), 0o755))
	for i := range listed {
		// Links to one file, which are quick to make.
		must(b, os.Link(filepath.Join(dir, deep), filepath.Join(dir, "list", fmt.Sprintf("IMG_%06d.jpg", i))))
	}
	return dir
}

// BenchmarkTree compares the view through both backends with plain calls of
// package os, which confine nothing.
func BenchmarkTree(b *testing.B) {
	dir := benchTree(b)
	b.Run("Lstat/os", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := os.Lstat(filepath.Join(dir, deep)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ReadDir/os", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			f, err := os.Open(filepath.Join(dir, "list"))
			must(b, err)
			list, err := f.Readdir(-1)
			f.Close()
			if len(list) != listed || err != nil {
				b.Fatal(len(list), err)
			}
		}
	})
	b.Run("Open/os", func(b *testing.B) {
		buf := make([]byte, 4096)
		defer cpu(b)()
		for b.Loop() {
			f, err := os.Open(filepath.Join(dir, deep))
			must(b, err)
			if n, err := f.ReadAt(buf, 0); n != len(buf) {
				b.Fatal(n, err)
			}
			f.Close()
		}
	})
	for _, kind := range []jail.Backend{jail.Openat2, jail.OSRoot} {
		fsys := view(b, dir, kind)
		b.Run("Lstat/"+kind.String(), func(b *testing.B) { benchLstat(b, fsys) })
		b.Run("ReadDir/"+kind.String(), func(b *testing.B) { benchReadDir(b, fsys) })
		b.Run("Open/"+kind.String(), func(b *testing.B) { benchOpen(b, fsys) })
	}
}

// cpu reports the processor time beside the time that passes, for machines
// which do something else meanwhile.
func cpu(b *testing.B) (report func()) {
	b.ReportAllocs()
	start := used(b)
	return func() {
		b.ReportMetric(float64((used(b)-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
}

func used(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchLstat(b *testing.B, fsys vfs.FS) {
	p := vfstest.P(b, deep)
	defer cpu(b)()
	for b.Loop() {
		if _, err := fsys.Lstat(p); err != nil {
			b.Fatal(err)
		}
	}
}

func benchReadDir(b *testing.B, fsys vfs.FS) {
	p := vfstest.P(b, "list")
	defer cpu(b)()
	for b.Loop() {
		if list, err := fsys.ReadDir(p, nil); len(list) != listed || err != nil {
			b.Fatal(len(list), err)
		}
	}
}

func benchOpen(b *testing.B, fsys vfs.FS) {
	p := vfstest.P(b, deep)
	buf := make([]byte, 4096)
	defer cpu(b)()
	for b.Loop() {
		f, err := fsys.Open(p)
		must(b, err)
		if n, err := f.ReadAt(buf, 0); n != len(buf) {
			b.Fatal(n, err)
		}
		must(b, f.Close())
	}
}
