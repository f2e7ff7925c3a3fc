package rrtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TempDir makes a folder that any user may search, for trees that a server
// reads as another user, and removes it when the test ends whatever the
// permissions below it are by then.
func TempDir(t testing.TB) string {
	t.Helper()
	return tempDir(t, "")
}

// ScratchDir is TempDir in memory where that keeps everything a tree can hold
// (Linux 6.6 gave tmpfs user attributes): for many small destinations, which
// wait for a disk otherwise.
func ScratchDir(t testing.TB) string {
	t.Helper()
	return tempDir(t, scratchParent())
}

// scratchSpace is the free memory that ScratchDir wants to see. Containers
// often have 64 MiB only.
const scratchSpace = 4 << 30

// scratchParent is /dev/shm or, where that is of no use, "".
var scratchParent = sync.OnceValue(func() string {
	const shm = "/dev/shm"
	var st unix.Statfs_t
	if unix.Statfs(shm, &st) != nil || st.Bavail*uint64(st.Bsize) < scratchSpace {
		return ""
	}
	f, err := os.CreateTemp(shm, "rrtest-probe-")
	if err != nil {
		return ""
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if unix.Fsetxattr(int(f.Fd()), "user.probe", nil, 0) != nil {
		return ""
	}
	return shm
})

func tempDir(t testing.TB, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "rrtest-tree-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// RemoveAll removes a tree that may hold directories without permissions.
func RemoveAll(dir string) error {
	if os.Getuid() != 0 {
		filepath.WalkDir(dir, func(name string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				return os.Chmod(name, 0o700)
			}
			return nil
		})
	}
	return os.RemoveAll(dir)
}
