package jail_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// onOwnThread runs f on a thread that ends with it, so that f may take rights
// from its thread.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked
		defer close(done)
		f()
	}()
	<-done
}

// TestDenied looks at a tree as somebody who may not see all of it.
func TestDenied(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	for _, name := range []string{"closed", "names-only"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		write(t, filepath.Join(dir, name, "file"), "x")
	}
	write(t, filepath.Join(dir, "unreadable"), "x")
	must(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	must(t, os.Chmod(filepath.Join(dir, "names-only"), 0o444))
	must(t, os.Chmod(filepath.Join(dir, "unreadable"), 0))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, dir, kind)
		onOwnThread(func() {
			// Another user for files only; takes the capabilities along
			// which override modes, setfsuid(2).
			if err := unix.Setfsuid(65534); err != nil {
				t.Error(err)
			}
			testDenied(t, fsys, kind)
		})
	})
}

func testDenied(t *testing.T, fsys vfs.FS, kind jail.Backend) {
	wantDenied := func(what string, err error) {
		t.Helper()
		var e *vfs.Error
		if !errors.As(err, &e) || e.Errno != vfs.EACCES {
			t.Errorf("%s: %v, want %v", what, err, syscall.EACCES)
		}
	}
	_, err := fsys.Open(vfstest.P(t, "unreadable"))
	wantDenied("unreadable", err)
	if _, err := fsys.Lstat(vfstest.P(t, "unreadable")); err != nil {
		t.Error(err)
	}
	_, err = fsys.ReadDir(vfstest.P(t, "closed"), nil)
	wantDenied("closed", err)
	_, err = fsys.Lstat(vfstest.P(t, "closed/file"))
	wantDenied("closed/file", err)
	list, err := fsys.ReadDir(vfstest.P(t, "names-only"), nil)
	if kind == jail.OSRoot { // which opens nothing in a directory it may not search
		wantDenied("names-only", err)
		return
	}
	if err != nil || len(list) != 1 || list[0].Name != "file" {
		t.Errorf("names-only lists %+v, %v", list, err)
		return
	}
	wantDenied("names-only/file", list[0].Err)
}

// TestFallback denies openat2 as old kernels and the sandboxes of containers
// do.
func TestFallback(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	for _, number := range []syscall.Errno{unix.ENOSYS, unix.EPERM} {
		onOwnThread(func() {
			if err := deny(number, unix.SYS_OPENAT2); err != nil {
				t.Errorf("seccomp: %v", err)
				return
			}
			if _, err := jail.OpenWith(dir, jail.Openat2); !errors.Is(err, unix.ENOSYS) {
				t.Errorf("openat2 says %v: %v, want %v", number, err, unix.ENOSYS)
			}
			root, err := jail.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer root.Close()
			if root.Backend() != jail.OSRoot {
				t.Errorf("backend %v, want %v", root.Backend(), jail.OSRoot)
			}
			if i, err := root.Stat("file"); err != nil || i.Size() != 7 {
				t.Errorf("file: %v, %v", i, err)
			}
		})
	}
	if root := open(t, dir, jail.Best); root.Backend() != jail.Openat2 {
		t.Errorf("backend %v, want %v", root.Backend(), jail.Openat2)
	}
}

// deny makes a system call of the calling thread fail.
func deny(number syscall.Errno, call uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(number)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
