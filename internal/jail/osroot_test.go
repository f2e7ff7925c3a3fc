//go:build unix

package jail

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSwapped opens what took another object's place after osRoot.open looked
// at it. Neither blocks.
func TestSwapped(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := openOSRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, _, err := b.(*osRoot).openDir("fifo"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a FIFO as a directory: %v, want %v", err, syscall.ENOTDIR)
	}
	if _, _, err := b.(*osRoot).openFile("fifo", 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a FIFO as a file: %v, want %v", err, syscall.EINVAL)
	}
	if _, _, err := b.(*osRoot).openFile(".", 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a directory as a file: %v, want %v", err, syscall.EINVAL)
	}
}
