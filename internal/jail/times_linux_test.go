package jail_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// TestTimesOfInodes compares times of creation and of change with those of the
// kernel, and times of creation with none where there are none.
func TestTimesOfInodes(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	must(t, os.Symlink("file", filepath.Join(dir, "link")))
	must(t, os.Chtimes(filepath.Join(dir, "file"), time.Unix(1, 0), time.Unix(1, 0)))
	for _, c := range []struct {
		dir  string
		kind jail.Backend
		told bool
	}{
		{dir, jail.Openat2, true}, {dir, jail.OSRoot, false}, {"/proc/self", jail.Openat2, true},
	} {
		root, err := jail.OpenWith(c.dir, c.kind)
		must(t, err)
		if root.Btimes() != c.told {
			t.Errorf("%s: told %v, want %v", c.kind, root.Btimes(), c.told)
		}
		must(t, root.Close())
		fsys := view(t, c.dir, c.kind)
		list, err := fsys.ReadDir(vfs.Root(), nil)
		must(t, err)
		for _, in := range list {
			var want unix.Statx_t
			must(t, unix.Statx(unix.AT_FDCWD, filepath.Join(c.dir, in.Name), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME|unix.STATX_CTIME, &want))
			if want.Mask&unix.STATX_BTIME == 0 || !c.told {
				want.Btime.Sec = 0
			} else if want.Btime.Sec == 0 {
				t.Fatalf("%s was never made", in.Name)
			}
			info, err := fsys.Lstat(vfstest.P(t, in.Name))
			if err != nil || in.Btime != want.Btime.Sec || info.Btime != in.Btime {
				t.Errorf("%s, %s: listed %d, lstat %d, %v, want %d", c.kind, in.Name, in.Btime, info.Btime, err, want.Btime.Sec)
			}
			// The kernel makes the inodes of /proc anew, at times.
			if changed := want.Ctime.Sec*1e9 + int64(want.Ctime.Nsec); c.dir == dir && (in.Ctime != changed || info.Ctime != changed) {
				t.Errorf("%s, %s: changed %d, lstat %d, want %d", c.kind, in.Name, in.Ctime, info.Ctime, changed)
			}
		}
	}
}
