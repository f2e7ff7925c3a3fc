package jail_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// TestMagicLinks serves a directory whose links the kernel resolves by handle
// and not by text.
func TestMagicLinks(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, vfstest.Secret)
	f, err := os.Open(secret)
	must(t, err)
	defer f.Close()
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, "/proc/self", kind)
		if i, err := fsys.Lstat(vfstest.P(t, "status")); err != nil || !i.IsRegular() {
			t.Fatalf("status: %+v, %v", i, err)
		}
		for _, name := range []string{
			"cwd", "root", "exe",
			"root/etc/passwd", "cwd/jail.go",
			fmt.Sprintf("fd/%d", f.Fd()),
		} {
			p := vfstest.P(t, name)
			if !strings.Contains(name, "/") || strings.HasPrefix(name, "fd/") {
				if i, err := fsys.Lstat(p); err != nil || i.Type() != vfs.ModeSymlink {
					t.Errorf("Lstat(%q): %+v, %v, want a link", name, i, err)
				}
				p = p.Follow()
			}
			_, err := fsys.Lstat(p)
			wantRefused(t, name, err)
			_, err = fsys.Open(p)
			wantRefused(t, name, err)
			_, err = fsys.ReadDir(p, nil)
			wantRefused(t, name, err)
		}
	})
}

func wantRefused(t *testing.T, name string, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ELOOP) && !errors.Is(err, syscall.EXDEV) {
		t.Errorf("%s: %v, want %v or %v", name, err, syscall.ELOOP, syscall.EXDEV)
	}
}

// TestDevices looks at devices without opening them.
func TestDevices(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, "/dev", kind)
		i, err := fsys.Lstat(vfstest.P(t, "null"))
		if err != nil || i.Mode != vfs.ModeChar|0o666 || i.RdevMajor != 1 || i.RdevMinor != 3 {
			t.Errorf("null: %+v, %v", i, err)
		}
		for _, name := range []string{"null", "zero", "tty"} {
			if _, err := fsys.Open(vfstest.P(t, name)); err == nil {
				t.Errorf("%s was opened", name)
			}
		}
	})
}

// TestReplaced replaces what was opened or listed.
func TestReplaced(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		must(t, os.Mkdir(in("outside"), 0o755))
		must(t, os.Mkdir(in("root"), 0o755))
		must(t, os.Mkdir(in("root/dir"), 0o755))
		for i := range 10 {
			write(t, in(fmt.Sprintf("root/dir/%d", i)), "inside")
			write(t, in(fmt.Sprintf("outside/%d", i)), vfstest.Secret)
		}
		root := open(t, in("root"), kind)

		d, err := root.OpenFile("dir", jail.NoFollow, 0)
		must(t, err)
		defer d.Close()
		first, err := d.Readdir(1)
		must(t, err)
		must(t, os.Rename(in("root/dir"), in("root/moved")))
		must(t, os.Symlink("../outside", in("root/dir")))
		must(t, os.Remove(in("root/moved/"+first[0].Name())))
		rest, err := d.Readdir(-1)
		must(t, err)
		for _, i := range append(first, rest...) {
			if i.Size() != int64(len("inside")) {
				t.Errorf("%s has size %d: not the listed directory's", i.Name(), i.Size())
			}
		}
		if _, err := root.OpenFile("dir", jail.NoFollow, 0); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("the link in place of the directory: %v, want %v", err, syscall.ELOOP)
		}
		if _, err := root.Open("dir"); !errors.Is(err, syscall.EXDEV) {
			t.Errorf("the link in place of the directory, followed: %v, want %v", err, syscall.EXDEV)
		}

		file := "moved/" + rest[0].Name()
		must(t, os.Remove(in("root/"+file)))
		must(t, syscall.Mkfifo(in("root/"+file), 0o644))
		if _, err := root.OpenFile(file, jail.NoFollow, 0); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("the FIFO in place of the file: %v, want %v", err, syscall.EINVAL)
		}
	})
}

// TestVanished removes what a listing has read but not examined: the entries
// are there with their error.
func TestVanished(t *testing.T) {
	const files = 20 // less than one getdents64 returns
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		dir := t.TempDir()
		name := func(i int) string { return filepath.Join(dir, fmt.Sprintf("%0200d", i)) }
		for i := range files {
			write(t, name(i), "")
		}
		d, err := open(t, dir, kind).Open("/")
		must(t, err)
		defer d.Close()
		first, err := d.Readdir(1)
		must(t, err)
		for i := range files {
			must(t, os.Remove(name(i)))
		}
		rest, err := d.Readdir(-1)
		must(t, err)
		if len(first) != 1 || len(rest) != files-1 {
			t.Fatalf("%d and %d entries, want 1 and %d", len(first), len(rest), files-1)
		}
		for _, i := range rest {
			b, ok := i.(interface{ StatErr() error })
			if !ok || !errors.Is(b.StatErr(), syscall.ENOENT) || len(i.Name()) != 200 {
				t.Fatalf("entry %v, want one with a name and %v", i, syscall.ENOENT)
			}
		}
	})
}

// TestRace flips a directory between itself and a link to outside while others
// look beneath it. What is outside must never be seen.
func TestRace(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		must(t, os.MkdirAll(in("outside/sub"), 0o755))
		must(t, os.MkdirAll(in("root/dir/sub"), 0o755))
		for _, name := range []string{"file", "sub/file"} {
			write(t, in("root/dir/"+name), "inside")
			write(t, in("outside/"+name), vfstest.Secret)
			set(t, in("root/dir/"+name), "user.x", []byte("inside"))
			set(t, in("outside/"+name), "user.x", []byte(vfstest.Secret))
		}
		write(t, in("outside/only"), vfstest.Secret)
		must(t, os.Symlink("../outside", in("root/link")))
		must(t, os.Mkdir(in("root/other"), 0o755))
		must(t, os.Symlink("../other/../dir/sub", in("root/other/winding")))
		must(t, os.Symlink(in("root/dir/sub"), in("root/other/absolute")))
		must(t, os.Symlink(in("root/link/sub"), in("root/other/through")))
		r := &racer{fs: view(t, in("root"), kind)}
		r.race(t, func() { exchange(t, in("root/dir"), in("root/link")) })
		if r.good.Load() == 0 || r.refused.Load() == 0 {
			t.Errorf("%d looks inside and %d refused: this was no race", r.good.Load(), r.refused.Load())
		}
		t.Logf("%d looks inside, %d refused, %d flips", r.good.Load(), r.refused.Load(), r.flips)
	})
}

// TestRaceInside flips a file and a directory between themselves and links to
// others beneath the root: what is not to be followed is not followed.
func TestRaceInside(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		for _, name := range []string{"dir", "other"} {
			must(t, os.Mkdir(in(name), 0o755))
			write(t, in(name+"/"+name), name)
		}
		write(t, in("file"), "file")
		must(t, os.Symlink("other", in("link")))
		must(t, os.Symlink("other/other", in("file-link")))
		fsys := view(t, dir, kind)
		var over atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !over.Load() && !t.Failed() {
				exchange(t, in("dir"), in("link"))
				exchange(t, in("file"), in("file-link"))
			}
		}()
		followed, refused := 0, 0
		for begin := time.Now(); racing(t, begin, time.Second/2, refused > 0); {
			list, err := fsys.ReadDir(vfstest.P(t, "dir"), nil)
			if err == nil && list[0].Name != "dir" {
				followed++
			}
			f, err := fsys.Open(vfstest.P(t, "file"))
			if err != nil {
				refused++
				continue
			}
			if f.Info().Size != int64(len("file")) {
				followed++
			}
			f.Close()
		}
		over.Store(true)
		<-done
		if followed > 0 || refused == 0 {
			t.Errorf("%d links followed, %d refused, want none and some", followed, refused)
		}
	})
}

// racing reports whether a race goes on that shall take so long, and longer on a
// machine that has so little time for it that it was not seen until then.
func racing(t *testing.T, begin time.Time, least time.Duration, seen bool) bool {
	took := time.Since(begin)
	return !t.Failed() && (took < least || !seen && took < time.Minute)
}

// exchange swaps two names at once.
func exchange(t *testing.T, a, b string) {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Errorf("exchange: %v", err)
	}
}

type racer struct {
	fs            vfs.FS
	good, refused atomic.Int64
	flips         int
}

// race calls flip and the looks at the same time for a while.
func (r *racer) race(t *testing.T, flip func()) {
	begin := time.Now()
	goesOn := func() bool { return racing(t, begin, time.Second, r.good.Load() > 0 && r.refused.Load() > 0) }
	var wg sync.WaitGroup
	for _, look := range []func(*testing.T){r.lstat, r.readDir, r.open, r.xattrs} {
		wg.Go(func() {
			for goesOn() {
				look(t)
			}
		})
	}
	for goesOn() {
		flip()
		r.flips++
	}
	wg.Wait()
}

func (r *racer) count(err error) bool {
	if err != nil {
		r.refused.Add(1)
		return false
	}
	r.good.Add(1)
	return true
}

func (r *racer) lstat(t *testing.T) {
	for _, name := range []string{"dir/file", "dir/sub/file", "link/file", "other/winding/file", "other/absolute/file", "other/through/file"} {
		i, err := r.fs.Lstat(vfstest.P(t, name))
		if r.count(err) && i.Size != int64(len("inside")) {
			t.Errorf("Lstat(%q) sees outside: %+v", name, i)
		}
	}
	if _, err := r.fs.Lstat(vfstest.P(t, "dir/only")); err == nil {
		t.Error("Lstat sees a file that is only outside")
	}
}

func (r *racer) readDir(t *testing.T) {
	for _, p := range []vfs.Path{
		vfstest.P(t, "dir"), vfstest.P(t, "dir").Follow(), vfstest.P(t, "dir/sub"), vfstest.P(t, "link/sub"),
		vfstest.P(t, "other/absolute").Follow(), vfstest.P(t, "other/through").Follow(),
	} {
		list, err := r.fs.ReadDir(p, nil)
		if !r.count(err) {
			continue
		}
		for _, i := range list {
			if i.Name == "only" || i.IsRegular() && i.Size != int64(len("inside")) {
				t.Errorf("ReadDir(%q) sees outside: %+v", p, i)
			}
		}
	}
}

func (r *racer) open(t *testing.T) {
	for _, p := range []vfs.Path{
		vfstest.P(t, "dir/file"), vfstest.P(t, "dir/sub/file"), vfstest.P(t, "link/file").Follow(),
		vfstest.P(t, "other/absolute/file"), vfstest.P(t, "other/through/file").Follow(),
	} {
		f, err := r.fs.Open(p)
		if !r.count(err) {
			continue
		}
		b := make([]byte, 100)
		n, _ := f.ReadAt(b, 0)
		if string(b[:n]) != "inside" {
			t.Errorf("Open(%q) sees outside: %q", p, b[:n])
		}
		f.Close()
	}
}

func (r *racer) xattrs(t *testing.T) {
	for _, p := range []vfs.Path{
		vfstest.P(t, "dir/file"), vfstest.P(t, "dir/sub/file"), vfstest.P(t, "link/file").Follow(), vfstest.P(t, "dir"),
	} {
		x, err := r.fs.Xattrs(p)
		if !r.count(err) {
			continue
		}
		if value, err := x.Value("user.x"); err == nil && string(value) != "inside" {
			t.Errorf("Xattrs(%q) sees outside: %q", p, value)
		}
		x.Close()
	}
}

// TestNoLeak holds every failing operation to leave no descriptor open.
func TestNoLeak(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	write(t, filepath.Join(dir, "file"), "x")
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	must(t, os.Symlink(dir+"/dir", filepath.Join(dir, "absolute")))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, dir, kind)
		if x, err := fsys.Xattrs(vfstest.P(t, "file")); err == nil {
			must(t, x.Close()) // but its directory is kept
		}
		before := descriptors(t)
		for _, name := range []string{"/", "dir", "file", "fifo", "up", "no", "file/x", "absolute", "absolute/up", "absolute/no"} {
			for _, p := range []vfs.Path{vfstest.P(t, name), vfstest.P(t, name).Follow()} {
				fsys.Lstat(p)
				fsys.ReadDir(p, nil)
				fsys.Readlink(p)
				if f, err := fsys.Open(p); err == nil {
					must(t, f.Close())
				}
				if x, err := fsys.Xattrs(p); err == nil {
					x.Names()
					must(t, x.Close())
				}
			}
		}
		for range 3 {
			_, err := jail.OpenWith(filepath.Join(dir, "file"), kind)
			if err == nil {
				t.Error("a file is a root")
			}
		}
		if after := descriptors(t); after > before { // less: one that an earlier test forgot
			t.Errorf("%d descriptors are open, %d were before", after, before)
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}
