package jail_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// xattrNames are the objects of xattrTree with attributes, one of each type that
// everybody can make.
var xattrNames = []string{"file", "dir", "link", "fifo", "socket"}

// xattrTree builds objects of every type with attributes. The values of file
// are at and around the sizes of the buffers.
func xattrTree(t *testing.T, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "file"), "content")
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	must(t, os.Symlink("file", filepath.Join(dir, "link")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, l.Close())
	write(t, filepath.Join(dir, "plain"), "no attributes")
	must(t, os.Symlink("../outside", filepath.Join(dir, "out")))
	must(t, os.Symlink("/"+strings.TrimPrefix(dir, "/")+"/file", filepath.Join(dir, "dir", "absolute")))
	must(t, os.Symlink("../link", filepath.Join(dir, "dir", "chain")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for _, n := range []int{0, 1, 32, 511, 512, 513, 2000} {
		set(t, filepath.Join(dir, "file"), "user.n"+strings.Repeat("x", n/100), bytes.Repeat([]byte{'v'}, n))
	}
	set(t, filepath.Join(dir, "dir"), "user.d", []byte("on a directory"))
	set(t, filepath.Join(dir, "dir"), "system.posix_acl_default", acl)
	if os.Getuid() == 0 {
		must(t, syscall.Mknod(filepath.Join(dir, "device"), syscall.S_IFCHR|0o644, 1<<8|3))
		set(t, filepath.Join(dir, "device"), "trusted.t", []byte("of a device"))
		for _, name := range xattrNames {
			set(t, filepath.Join(dir, name), "trusted.t", []byte("of "+name))
		}
	}
}

// acl is user::rwx, user:1:r--, group::r-x, mask::r-x, other::---.
var acl = []byte("\x02\x00\x00\x00" +
	"\x01\x00\x07\x00\xff\xff\xff\xff\x02\x00\x04\x00\x01\x00\x00\x00" +
	"\x04\x00\x05\x00\xff\xff\xff\xff\x10\x00\x05\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff")

func set(t *testing.T, name, attr string, value []byte) {
	t.Helper()
	if err := unix.Lsetxattr(name, attr, value, 0); err != nil {
		t.Fatalf("%s on %s: %v", attr, name, err)
	}
}

// wantXattrs compares what the FS says of p with what the system says of name.
func wantXattrs(t *testing.T, fsys vfs.FS, p vfs.Path, name string) {
	t.Helper()
	x, err := fsys.Xattrs(p)
	if err != nil {
		t.Error(err)
		return
	}
	defer x.Close()
	got, err := x.Names()
	want := list(t, name)
	slices.Sort(got)
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("%q: names %q, %v, want %q", p, got, err, want)
	}
	for _, attr := range want {
		buf := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, attr, buf)
		must(t, err)
		value, err := x.Value(attr)
		if err != nil || !bytes.Equal(value, buf[:n]) {
			t.Errorf("%q: %s is %q, %v, want %q", p, attr, value, err, buf[:n])
		}
	}
	_, err = x.Value("user.none")
	wantNumber(t, p.String()+": user.none", err, vfs.ENODATA)
}

func list(t *testing.T, name string) []string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(name, buf)
	must(t, err)
	names := strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	return names
}

// TestXattrs reads attributes of every type of object, with the new system
// calls and without them.
func TestXattrs(t *testing.T) {
	dir := t.TempDir()
	xattrTree(t, dir)
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, dir, kind)
		testXattrs(t, fsys, dir)
		for _, number := range []syscall.Errno{unix.ENOSYS, unix.EPERM} {
			onOwnThread(func() {
				if err := errors.Join(deny(number, unix.SYS_GETXATTRAT), deny(number, unix.SYS_LISTXATTRAT)); err != nil {
					t.Errorf("seccomp: %v", err)
					return
				}
				testXattrs(t, fsys, dir)
			})
		}
	})
}

// TestXattrsNames gives the base names that are no entry of a directory.
func TestXattrsNames(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "root", "sub"), 0o755))
	for name, value := range map[string]string{"": "outside", "root": "of the root", "root/sub": "of sub"} {
		set(t, filepath.Join(dir, name), "user.x", []byte(value))
	}
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, filepath.Join(dir, "root"), kind)
		for name, want := range map[string]string{
			"/": "of the root", ".": "of the root", "sub/.": "of sub", "sub/": "of sub", "sub/..": "of the root", "sub/../sub": "of sub",
			"..": "", "/..": "", "sub/../..": "", "../root": "", "": "", "sub/x\x00": "",
		} {
			var value []byte
			f, err := root.OpenFile(name, jail.Xattrs|jail.NoFollow, 0)
			if err == nil {
				value, err = f.(vfs.XattrReader).GetXattr("user.x")
				must(t, f.Close())
			}
			if string(value) != want || (err == nil) != (want != "") {
				t.Errorf("%q has %q, %v, want %q", name, value, err, want)
			}
		}
	})
}

// TestXattrsOfDirectory reads entries of directories in turn, and beyond the end
// of the root.
func TestXattrsOfDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a", "b"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
		write(t, filepath.Join(dir, d, "f"), "x")
		set(t, filepath.Join(dir, d, "f"), "user.x", []byte("in "+d))
	}
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, dir, kind)
		at := func(name string) afero.File {
			f, err := root.OpenFile(name, jail.Xattrs|jail.NoFollow, 0)
			must(t, err)
			return f
		}
		want := func(f afero.File, value string) {
			t.Helper()
			got, err := f.(vfs.XattrReader).GetXattr("user.x")
			if string(got) != value || err != nil {
				t.Errorf("%s: %q, %v, want %q", f.Name(), got, err, value)
			}
		}
		first, second, other := at("a/f"), at("a/f"), at("b/f")
		for _, f := range []afero.File{first, second} {
			want(f, "in a")
			must(t, f.Close())
		}
		want(other, "in b")
		must(t, root.Close())
		want(other, "in b") // what is open stays open
		must(t, other.Close())
		_, err := root.OpenFile("b/f", jail.Xattrs|jail.NoFollow, 0)
		wantClosed(t, "OpenFile", err)
	})
}

func testXattrs(t *testing.T, fsys vfs.FS, dir string) {
	t.Helper()
	for _, name := range append(xattrNames, "plain", "out", "dir/chain", "loop") {
		wantXattrs(t, fsys, vfstest.P(t, name), filepath.Join(dir, name))
	}
	if os.Getuid() == 0 {
		wantXattrs(t, fsys, vfstest.P(t, "device"), filepath.Join(dir, "device"))
	}
	wantXattrs(t, fsys, vfs.Root(), dir)
	for name, target := range map[string]string{"link": "file", "dir/chain": "file", "dir/absolute": "file", "fifo": "fifo", "dir": "dir"} {
		wantXattrs(t, fsys, vfstest.P(t, name).Follow(), filepath.Join(dir, target))
	}
	for name, number := range map[string]int{
		"out": vfs.EXDEV, "out/x": vfs.EXDEV, "loop": vfs.ELOOP, "none": vfs.ENOENT, "file/x": vfs.ENOTDIR,
	} {
		_, err := fsys.Xattrs(vfstest.P(t, name).Follow())
		wantNumber(t, name, err, number)
	}
}

func wantNumber(t *testing.T, what string, err error, number int) {
	t.Helper()
	var e *vfs.Error
	if !errors.As(err, &e) || e.Errno != number {
		t.Errorf("%s: %v, want number %d", what, err, number)
	}
}

// TestXattrsUnsupported looks at a file system without attributes.
func TestXattrsUnsupported(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		x, err := view(t, "/proc/self", kind).Xattrs(vfstest.P(t, "status"))
		must(t, err)
		defer x.Close()
		if names, err := x.Names(); len(names) > 0 || err != nil {
			t.Errorf("names %q, %v", names, err)
		}
		_, err = x.Value("system.posix_acl_access")
		wantNumber(t, "an ACL", err, vfs.ENODATA)
	})
}

// TestXattrsDenied is somebody who may not read the file: the names and an ACL
// can be seen, the values of user attributes cannot.
func TestXattrsDenied(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	name := filepath.Join(dir, "file")
	write(t, name, "x")
	set(t, name, "user.secret", []byte("value"))
	set(t, name, "system.posix_acl_access", bytes.Replace(acl, []byte{7}, []byte{6}, 1))
	must(t, os.Chmod(name, 0))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, dir, kind)
		onOwnThread(func() {
			if err := unix.Setfsuid(65534); err != nil {
				t.Error(err)
			}
			x, err := fsys.Xattrs(vfstest.P(t, "file"))
			if err != nil {
				t.Error(err)
				return
			}
			defer x.Close()
			names, err := x.Names()
			if !slices.Contains(names, "user.secret") || err != nil {
				t.Errorf("names %q, %v", names, err)
			}
			_, err = x.Value("user.secret")
			wantNumber(t, "value", err, vfs.EACCES)
			if value, err := x.Value("system.posix_acl_access"); len(value) != len(acl) || err != nil {
				t.Errorf("ACL %q, %v", value, err)
			}
		})
	})
}

// TestXattrsHandle does with a handle for attributes what it is not for.
func TestXattrsHandle(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		for _, flag := range []int{0, jail.NoFollow} {
			testXattrsHandle(t, dir, kind, flag)
		}
	})
}

func testXattrsHandle(t *testing.T, dir string, kind jail.Backend, flag int) {
	f, err := open(t, dir, kind).OpenFile("/file", jail.Xattrs|flag, 0)
	must(t, err)
	if i, err := f.Stat(); err != nil || i.Size() != 7 || i.Name() != "file" {
		t.Errorf("Stat: %v, %v", i, err)
	}
	if n, err := f.Read(make([]byte, 7)); n != 0 || !errors.Is(err, syscall.EBADF) {
		t.Errorf("Read: %d, %v", n, err)
	}
	must(t, f.Close())
	_, err = f.(vfs.XattrReader).ListXattr()
	wantClosed(t, "ListXattr", err)
	_, err = f.(vfs.XattrReader).GetXattr("user.x")
	wantClosed(t, "GetXattr", err)
	wantClosed(t, "Close", f.Close())
}
