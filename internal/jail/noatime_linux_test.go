package jail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
)

// TestNoAtime looks at the flags with which the kernel has a file open.
func TestNoAtime(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "file")
	write(t, path, "content")
	must(t, os.Symlink(path, filepath.Join(dir, "absolute")))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, dir, kind)
		for _, c := range []struct {
			name  string
			flag  int
			other bool // as a user whose file it is not
			want  bool
		}{
			{"file", 0, false, false},
			{"file", jail.NoFollow, false, false},
			{"file", jail.NoAtime, false, true},
			{"file", jail.NoAtime | jail.NoFollow, false, true},
			{"absolute", jail.NoAtime, false, true},
			{"file", jail.NoAtime, true, false},
			{"absolute", jail.NoAtime, true, false},
		} {
			onOwnThread(func() {
				if c.other {
					// Takes CAP_FOWNER along, setfsuid(2).
					if err := unix.Setfsuid(65534); err != nil {
						t.Error(err)
					}
				}
				f, err := root.OpenFile(c.name, c.flag, 0)
				if err != nil {
					t.Errorf("%+v: %v", c, err)
					return
				}
				defer f.Close()
				if got := openFlags(t, path)&unix.O_NOATIME != 0; got != c.want {
					t.Errorf("%+v: no access time %v", c, got)
				}
			})
		}
	})
}

// openFlags returns the flags of the one descriptor that has the file open.
func openFlags(t *testing.T, path string) (flags int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Error(err)
	}
	found := 0
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to != path {
			continue
		}
		text, err := os.ReadFile("/proc/self/fdinfo/" + fd.Name())
		if err != nil {
			t.Error(err)
		}
		_, after, _ := strings.Cut(string(text), "flags:")
		if n, err := fmt.Sscanf(after, "%o", &flags); n != 1 {
			t.Errorf("%q: %v", text, err)
		}
		found++
	}
	if found != 1 {
		t.Errorf("%d descriptors of %s", found, path)
	}
	return flags
}
