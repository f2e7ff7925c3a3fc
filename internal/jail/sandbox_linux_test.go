package jail

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// newBox is a tree that everybody may write to, so that only the walls forbid it.
func newBox(t *testing.T) *Sandbox {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(
		os.Chmod(dir, 0o777),
		os.WriteFile(dir+"/file", []byte("content"), 0o666),
		os.Mkdir(dir+"/dir", 0o777),
		os.Symlink("file", dir+"/link"),
	); err != nil {
		t.Fatal(err)
	}
	return &Sandbox{Trees: []string{dir}}
}

// Each attempt is let through without a wall, and stopped by the walls that are
// said to stop it.
func TestProof(t *testing.T) {
	box := newBox(t)
	p := NewProof(box)
	defer p.Close()
	behind := func(walls ...string) []Outcome {
		all, err := p.Behind(walls...)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	abi, root := landlockABI(), CanReadAll()
	for _, c := range []struct {
		attempt           string
		landlock, seccomp bool // stops it alone
		free              bool // is let through without, whatever the file permissions
	}{
		{"read a file outside", true, false, true},
		{"open one by its number", true, true, root},
		{"create a file inside", true, true, true},
		{"create one with openat2", true, false, true},
		{"change a mode", false, true, true},
		{"execute a program", true, true, true},
		{"start a process", false, true, true},
		{"connect by TCP", abi >= 4, true, true},
		{"connect by UDP", abi >= 10, true, true},
		{"listen on another port", abi >= 4, true, true},
		{"read another process", true, true, root},
		{"signal another process", abi >= 6, true, true},
		{"become another user", false, true, true},
		{"make a namespace", false, true, true},
	} {
		i := slices.IndexFunc(attempts, func(a attempt) bool { return a.name == c.attempt })
		held := behind()[i].Stopped
		if held && c.free {
			t.Errorf("%s is refused without a wall", c.attempt)
		}
		for _, w := range []struct {
			walls []string
			want  bool
		}{
			{nil, held},
			{[]string{Landlock}, c.landlock || held},
			{[]string{Seccomp}, c.seccomp || held},
			{[]string{Landlock, Seccomp}, true},
		} {
			if got := behind(w.walls...)[i]; got.Stopped != w.want || got.Aimless {
				t.Errorf("%s behind %q: stopped %v, want %v (%v)", c.attempt, w.walls, got.Stopped, w.want, got.Err)
			}
		}
	}
	if entries, err := os.ReadDir(box.Trees[0]); err != nil || len(entries) != 3 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Nothing changes a file behind both walls, whichever call it takes. What is
// refused by one alone is what makes them two.
func TestNothingIsWritten(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"create":          func(dir string) error { return os.WriteFile(dir+"/new", nil, 0o600) },
		"open to write":   func(dir string) error { _, err := os.OpenFile(dir+"/file", os.O_RDWR, 0); return err },
		"append":          func(dir string) error { _, err := os.OpenFile(dir+"/file", os.O_APPEND|os.O_WRONLY, 0); return err },
		"truncate":        func(dir string) error { return os.Truncate(dir+"/file", 0) },
		"truncate opened": func(dir string) error { _, err := unix.Open(dir+"/file", unix.O_RDONLY|unix.O_TRUNC, 0); return err },
		"mkdir":           func(dir string) error { return os.Mkdir(dir+"/new", 0o700) },
		"mknod":           func(dir string) error { return unix.Mkfifo(dir+"/new", 0o600) },
		"symlink":         func(dir string) error { return os.Symlink("x", dir+"/new") },
		"link":            func(dir string) error { return os.Link(dir+"/file", dir+"/new") },
		"rename":          func(dir string) error { return os.Rename(dir+"/file", dir+"/new") },
		"unlink":          func(dir string) error { return unix.Unlink(dir + "/file") },
		"rmdir":           func(dir string) error { return unix.Rmdir(dir + "/dir") },
		"chmod":           func(dir string) error { return os.Chmod(dir+"/file", 0o600) },
		"chown":           func(dir string) error { return os.Chown(dir+"/file", os.Getuid(), os.Getgid()) },
		"utime":           func(dir string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/file", nil, 0) },
		"setxattr":        func(dir string) error { return unix.Setxattr(dir+"/file", "user.x", []byte("x"), 0) },
		"removexattr":     func(dir string) error { return unix.Removexattr(dir+"/file", "user.x") },
		"socket": func(dir string) error {
			l, err := net.Listen("unix", dir+"/new")
			if err == nil {
				l.Close()
			}
			return err
		},
	} {
		box := newBox(t)
		err := box.behind([]string{Landlock, Seccomp}, func() {
			if err := change(box.Trees[0]); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := change(box.Trees[0]); errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s is refused without a sandbox too: %v", name, err)
		}
	}
}

// What the server does goes on behind both walls, through either backend.
func TestReadingGoesOn(t *testing.T) {
	box := newBox(t)
	outside := filepath.Join(t.TempDir(), "granted")
	if err := os.WriteFile(outside, []byte("granted"), 0o644); err != nil {
		t.Fatal(err)
	}
	box.Files = []string{outside, filepath.Join(t.TempDir(), "missing")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	err = box.behind([]string{Landlock, Seccomp}, func() {
		for _, kind := range []Backend{Openat2, OSRoot} {
			if err := readAll(box.Trees[0], kind); err != nil {
				t.Errorf("%v: %v", kind, err)
			}
		}
		if _, err := os.ReadFile(outside); err != nil {
			t.Error(err)
		}
		if _, err := os.ReadDir(filepath.Dir(outside)); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("the directory of a file: %v", err)
		}
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write([]byte("hello"))
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			t.Errorf("accepting: %v", err)
		}
		runtime.GC()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readAll reads an object of each kind below dir.
func readAll(dir string, kind Backend) error {
	root, err := OpenWith(dir, kind)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range []string{"file", "link"} {
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		_, err = f.Read(make([]byte, 1))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	d, err := root.Open("/")
	if err != nil {
		return err
	}
	list, err := d.Readdir(-1)
	if err := errors.Join(err, d.Close()); err != nil || len(list) != 3 {
		return errors.Join(err, errors.New("the listing is short"))
	}
	if _, err := root.ReadlinkIfPossible("link"); err != nil {
		return err
	}
	for _, flag := range []int{Xattrs, Xattrs | NoFollow} {
		x, err := root.OpenFile("file", flag, 0)
		if err != nil {
			return err
		}
		_, err = x.(interface{ ListXattr() ([]string, error) }).ListXattr()
		if err := errors.Join(err, x.Close()); err != nil {
			return err
		}
	}
	return nil
}

// The calls of x32 have the numbers of others but for a bit, and ARM has some of its
// own.
func TestForeignCalls(t *testing.T) {
	const cacheflush = 0xf0002
	foreign := map[string]uintptr{"amd64": 1<<30 | unix.SYS_GETPID, "arm": cacheflush}[runtime.GOARCH]
	if foreign == 0 {
		return
	}
	box := newBox(t)
	err := box.behind([]string{Seccomp}, func() {
		if _, _, no := unix.RawSyscall(foreign, 0, 0, 0); no != unix.EPERM {
			t.Errorf("call %#x: %v", foreign, no)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each version of Landlock takes away what the one before does.
func TestHandledGrows(t *testing.T) {
	last := handled(0)
	if last != (unix.LandlockRulesetAttr{}) {
		t.Errorf("version 0 handles %+v", last)
	}
	for abi := 1; abi <= 12; abi++ {
		now := handled(abi)
		if now.Handled_access_fs&last.Handled_access_fs != last.Handled_access_fs ||
			now.Handled_access_net&last.Handled_access_net != last.Handled_access_net || now.Scoped&last.Scoped != last.Scoped {
			t.Errorf("version %d handles %+v, the one before %+v", abi, now, last)
		}
		last = now
	}
}
