//go:build unix

package jail_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// everyBackend runs a test over both backends.
func everyBackend(t *testing.T, test func(t *testing.T, kind jail.Backend)) {
	for _, kind := range []jail.Backend{jail.Openat2, jail.OSRoot} {
		t.Run(kind.String(), func(t *testing.T) { test(t, kind) })
	}
}

func open(t testing.TB, dir string, kind jail.Backend) *jail.Root {
	t.Helper()
	root, err := jail.OpenWith(dir, kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// view is the stack as the program builds it.
func view(t testing.TB, dir string, kind jail.Backend) vfs.FS {
	t.Helper()
	return vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(open(t, dir, kind), "/")), vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs})
}

func TestConformance(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		can := vfstest.Can{Links: true, Inodes: true}
		vfstest.Test(t, can, func(t *testing.T, tree []vfstest.Entry) vfs.FS {
			dir := t.TempDir()
			build(t, filepath.Join(dir, "root"), tree)
			must(t, os.Mkdir(filepath.Join(dir, vfstest.OutsideName), 0o755))
			write(t, filepath.Join(dir, vfstest.OutsideName, "secret"), vfstest.Secret)
			return view(t, filepath.Join(dir, "root"), kind)
		})
	})
}

func build(t *testing.T, root string, tree []vfstest.Entry) {
	t.Helper()
	must(t, os.Mkdir(root, 0o755))
	for _, e := range tree {
		name := filepath.Join(root, e.Name)
		perm := e.Mode &^ vfs.ModeType
		switch e.Mode & vfs.ModeType {
		case vfs.ModeDir:
			must(t, os.Mkdir(name, 0o700))
			must(t, syscall.Chmod(name, perm))
		case vfs.ModeRegular:
			write(t, name, e.Data)
			must(t, syscall.Chmod(name, perm))
		case vfs.ModeSymlink:
			must(t, os.Symlink(e.Data, name))
		case vfs.ModeFIFO:
			must(t, syscall.Mkfifo(name, perm))
		}
	}
	for _, e := range tree { // after all entries, which change their directories
		at := unix.NsecToTimespec(e.Mtime.Sec*1e9 + int64(e.Mtime.Nsec))
		name := filepath.Join(root, e.Name)
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, name, data string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte(data), 0o644))
}

// TestPinned flips the symbolic link which is the root, and takes its target
// away: a session goes on with the tree that it began with.
func TestPinned(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		dir := t.TempDir()
		for _, snapshot := range []string{"1", "2"} {
			must(t, os.Mkdir(filepath.Join(dir, snapshot), 0o755))
			write(t, filepath.Join(dir, snapshot, "which"), snapshot)
		}
		newest := filepath.Join(dir, "newest")
		must(t, os.Symlink("1", newest))
		first := view(t, newest, kind)
		must(t, os.Remove(newest))
		must(t, os.Symlink("2", newest))
		second := view(t, newest, kind)
		must(t, os.Rename(filepath.Join(dir, "1"), filepath.Join(dir, "gone")))
		for want, fsys := range map[string]vfs.FS{"1": first, "2": second} {
			if got := vfstest.Content(t, fsys, vfstest.P(t, "which")); got != want {
				t.Errorf("content %q, want %q", got, want)
			}
			if infos, err := fsys.ReadDir(vfs.Root(), nil); len(infos) != 1 || err != nil {
				t.Errorf("root lists %v, %v", infos, err)
			}
		}
	})
}

func TestOpenRoot(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		for name, want := range map[string]error{
			"no":   syscall.ENOENT,
			"file": syscall.ENOTDIR,
		} {
			if _, err := jail.OpenWith(filepath.Join(dir, name), kind); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	})
}

// TestNames opens names as no vfs.Path can hold them.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "root"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "root", "sub"), 0o755))
	write(t, filepath.Join(dir, "root", "file"), "")
	write(t, filepath.Join(dir, "secret"), vfstest.Secret)
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, filepath.Join(dir, "root"), kind)
		for name, want := range map[string]error{
			"":                                 syscall.ENOENT,
			"..":                               syscall.EXDEV,
			"../secret":                        syscall.EXDEV,
			"/../secret":                       syscall.EXDEV,
			"sub/../../secret":                 syscall.EXDEV,
			"//../secret":                      syscall.EXDEV,
			"file\x00":                         syscall.EINVAL,
			filepath.Join(dir, "secret"):       syscall.ENOENT,
			"/" + filepath.Join(dir, "secret"): syscall.ENOENT,
			"/file":                            nil,
			"file":                             nil,
			"//sub":                            nil,
			"/":                                nil,
			".":                                nil,
		} {
			f, err := root.Open(name)
			if !errors.Is(err, want) {
				t.Errorf("Open(%q): %v, want %v", name, err, want)
			}
			if f != nil {
				f.Close()
			}
			if _, err = root.Stat(name); !errors.Is(err, want) {
				t.Errorf("Stat(%q): %v, want %v", name, err, want)
			}
			if _, _, err = root.LstatIfPossible(name); !errors.Is(err, want) {
				t.Errorf("LstatIfPossible(%q): %v, want %v", name, err, want)
			}
			if want == nil {
				want = syscall.EINVAL
			}
			if _, err = root.ReadlinkIfPossible(name); !errors.Is(err, want) {
				t.Errorf("ReadlinkIfPossible(%q): %v, want %v", name, err, want)
			}
		}
	})
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, dir, kind)
		f, err := root.Open("file")
		must(t, err)
		defer f.Close()
		_, create := root.Create("new")
		_, write := f.Write([]byte("x"))
		_, writeAt := f.WriteAt([]byte("x"), 0)
		_, writeString := f.WriteString("x")
		for name, err := range map[string]error{
			"Create":      create,
			"Mkdir":       root.Mkdir("new", 0o755),
			"MkdirAll":    root.MkdirAll("new", 0o755),
			"Remove":      root.Remove("file"),
			"RemoveAll":   root.RemoveAll("file"),
			"Rename":      root.Rename("file", "new"),
			"Chmod":       root.Chmod("file", 0),
			"Chown":       root.Chown("file", 1, 1),
			"Chtimes":     root.Chtimes("file", time.Time{}, time.Time{}),
			"Write":       write,
			"WriteAt":     writeAt,
			"WriteString": writeString,
			"Truncate":    f.Truncate(0),
			"Sync":        f.Sync(),
		} {
			if !errors.Is(err, syscall.EROFS) {
				t.Errorf("%s: %v, want %v", name, err, syscall.EROFS)
			}
		}
		for bit := range 31 {
			flag := 1 << bit
			f, err := root.OpenFile("file", flag, 0o600)
			if flag == jail.NoFollow || flag == jail.NoAtime || flag == jail.Xattrs {
				must(t, err)
				f.Close()
			} else if !errors.Is(err, syscall.EROFS) {
				t.Errorf("OpenFile with flag %#x: %v, want %v", flag, err, syscall.EROFS)
			}
		}
		if names, err := afero.ReadDir(root, "/"); len(names) != 1 || err != nil {
			t.Errorf("the directory has %v, %v", names, err)
		}
		if b, err := afero.ReadFile(root, "file"); string(b) != "content" || err != nil {
			t.Errorf("the file has %q, %v", b, err)
		}
	})
}

// TestClosed uses what was closed. Closing twice and closing a directory in use
// must not close a file of somebody else.
func TestClosed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root, err := jail.OpenWith(dir, kind)
		must(t, err)
		f, err := root.Open("file")
		must(t, err)
		d, err := root.Open("/")
		must(t, err)
		must(t, root.Close())
		_, err = root.Open("file")
		wantClosed(t, "Open", err)
		_, err = root.Stat("file")
		wantClosed(t, "Stat", err)
		b := make([]byte, 7)
		if n, err := f.ReadAt(b, 0); string(b[:n]) != "content" || err != nil {
			t.Errorf("ReadAt in a closed root: %q, %v", b[:n], err)
		}
		if list, err := d.Readdir(-1); len(list) != 1 || err != nil {
			t.Errorf("Readdir in a closed root: %v, %v", list, err)
		}
		must(t, f.Close())
		must(t, d.Close())
		_, err = f.ReadAt(b, 0)
		wantClosed(t, "ReadAt", err)
		_, err = f.Read(b)
		wantClosed(t, "Read", err)
		_, err = d.Readdir(-1)
		wantClosed(t, "Readdir", err)
		wantClosed(t, "Close", f.Close())
		wantClosed(t, "Close", d.Close())
	})
}

func wantClosed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("%s after Close: %v, want %v", what, err, os.ErrClosed)
	}
}

// TestReaddir lists in pieces, as os.File.Readdir does.
func TestReaddir(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		write(t, filepath.Join(dir, name), name)
	}
	want, err := os.Open(dir)
	must(t, err)
	defer want.Close()
	order, err := want.Readdirnames(-1)
	must(t, err)
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, dir, kind)
		d, err := afero.NewBasePathFs(root, "/").Open("/")
		must(t, err)
		defer d.Close()
		var got []string
		for _, size := range []int{2, 2, 1} {
			list, err := d.Readdir(2)
			if len(list) != size || err != nil {
				t.Errorf("Readdir(2) = %d entries, %v, want %d", len(list), err, size)
			}
			for _, i := range list {
				got = append(got, i.Name())
				if i.Size() != 1 || i.Mode() != 0o644 || i.IsDir() {
					t.Errorf("%s: size %d mode %v", i.Name(), i.Size(), i.Mode())
				}
			}
		}
		if list, err := d.Readdir(2); len(list) != 0 || err != io.EOF {
			t.Errorf("Readdir(2) at the end = %d entries, %v", len(list), err)
		}
		if list, err := d.Readdirnames(-1); len(list) != 0 || err != nil {
			t.Errorf("Readdirnames(-1) at the end = %d entries, %v", len(list), err)
		}
		if !slices.Equal(got, order) {
			t.Errorf("order %q, want that of the directory %q", got, order)
		}
	})
}

// TestErrors holds errors to what callers ask them.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, dir, kind)
		_, err := root.Stat("no")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
		if number(err) != 2 {
			t.Errorf("%v has number %d, want 2", err, number(err))
		}
		_, err = root.Stat("up")
		if want := "stat up: leads out of the tree"; err == nil || err.Error() != want || number(err) != 18 {
			t.Errorf("error %v, number %d, want %s, 18", err, number(err), want)
		}
	})
}

func number(err error) int {
	var n interface {
		error
		Errno() int
	}
	if errors.As(err, &n) {
		return n.Errno()
	}
	return 0
}
