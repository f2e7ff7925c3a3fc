//go:build unix

package jail_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// TestOpenBelow opens directories below another one, by names that others may have
// had a hand in.
func TestOpenBelow(t *testing.T) {
	dir := t.TempDir()
	live, snaps, other := filepath.Join(dir, "live"), filepath.Join(dir, "snaps"), filepath.Join(dir, "other")
	must(t, os.MkdirAll(filepath.Join(snaps, "1/tree"), 0o755))
	must(t, os.MkdirAll(live, 0o755))
	must(t, os.Mkdir(other, 0o755))
	write(t, filepath.Join(live, "file"), vfstest.Secret)
	write(t, filepath.Join(other, "file"), vfstest.Secret)
	write(t, filepath.Join(snaps, "1/tree/file"), "inside")
	for name, text := range map[string]string{
		"1/tree/by-live": live + "/file", "1/tree/by-itself": snaps + "/1/tree/file", "1/tree/beside": "../../out/file",
		"newest": "1/tree", "by-path": snaps + "/1/tree", "out": other, "dots": "../other", "above": "..",
	} {
		must(t, os.Symlink(text, filepath.Join(snaps, name)))
	}
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		for _, name := range []string{"1/tree", "newest", "by-path"} {
			root, err := jail.OpenBelow(snaps, name, live, kind)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			fsys := viewOf(root)
			for _, file := range []string{"file", "by-live", "by-itself"} {
				if got := vfstest.Content(t, fsys, vfstest.P(t, file).Follow()); got != "inside" {
					t.Errorf("%s: %s has %q", name, file, got)
				}
			}
			if _, err := fsys.Open(vfstest.P(t, "beside").Follow()); err == nil {
				t.Errorf("%s: a link led out of it", name)
			}
			root.Close()
		}
		for name, want := range map[string]error{
			"out": syscall.EXDEV, "dots": syscall.EXDEV, "above": syscall.EXDEV, "../other": syscall.EXDEV, "..": syscall.EXDEV,
			"1/../../other": syscall.EXDEV, "no": syscall.ENOENT, "1/tree/file": syscall.ENOTDIR,
		} {
			root, err := jail.OpenBelow(snaps, name, live, kind)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
			if err == nil {
				root.Close()
			}
		}
		if _, err := jail.OpenBelow(dir+"/no", "1", live, kind); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("below nothing: %v", err)
		}
	})
}

// viewOf is a tree as the engine sees it.
func viewOf(root *jail.Root) vfs.FS {
	return vfs.FromAfero(root, vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs})
}
