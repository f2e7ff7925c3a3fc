package rrtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TempDir makes a folder that any user may search, for trees that a server
// reads as another user, and removes it when the test ends whatever the
// permissions below it are by then.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rrtest-tree-")
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
