package jail

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CanConfine reports whether this kernel and this build offer every wall.
func CanConfine() bool { return landlockABI() > 0 && seccompBuilt }

// Confine puts the walls around all threads of the process, those to come
// included. It cannot be undone. Before it, everything must be open that is not
// in the Sandbox: sockets to listen on, files to write.
func Confine(s *Sandbox) []Wall {
	// The host key is in memory: neither in a core file, nor for a debugger of
	// the same user, which as nobody is not this process alone.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // never fails with 0
	err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	landlock := Wall{Name: Landlock, Detail: fmt.Sprintf("ABI %d", landlockABI()), Err: err}
	seccomp := Wall{Name: Seccomp, Detail: "allow-list", Err: err}
	if err == nil {
		landlock.Err = s.restrict(allThreads)
		seccomp.Err = installFilter(unix.SECCOMP_FILTER_FLAG_TSYNC)
	}
	return []Wall{landlock, seccomp}
}

// restrict enforces the rules by the system call that it is given.
func (s *Sandbox) restrict(call func(nr, a1, a2, a3 uintptr) error) error {
	set, err := s.ruleset()
	if err != nil {
		return err
	}
	defer unix.Close(set)
	return call(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0)
}

// allThreads makes a system call on every thread. Only a binary without cgo can,
// for it alone knows them all.
//
//go:uintptrescapes
func allThreads(nr, a1, a2, a3 uintptr) error {
	_, _, no := syscall.AllThreadsSyscall6(nr, a1, a2, a3, 0, 0, 0)
	switch no {
	case 0:
		return nil
	case unix.ENOTSUP:
		return errors.New("this binary was built with cgo; build it with CGO_ENABLED=0")
	}
	return no
}

// thisThread makes a system call.
func thisThread(nr, a1, a2, a3 uintptr) error {
	_, _, no := unix.Syscall6(nr, a1, a2, a3, 0, 0, 0)
	if no != 0 {
		return no
	}
	return nil
}

// behind runs f on a thread of its own with the walls of these names, and no
// other: what Linux confines is a thread.
func (s *Sandbox) behind(names []string, f func()) (err error) {
	onOwnThread(func() {
		if err = s.confineThread(names); err == nil {
			f()
		}
	})
	return err
}

// onOwnThread runs f on a thread that ends with it, and returns when it has
// ended: what the runtime then asks of all threads, one behind walls would refuse.
func onOwnThread(f func()) {
	done := make(chan struct{})
	var thread int // 0: that of a call within, which has waited for it
	go func() {
		defer close(done)
		runtime.LockOSThread() // without the unlocking that would save the thread
		if unix.Gettid() == unix.Getpid() {
			// The main thread does not end. Held here, it cannot be taken again.
			defer runtime.UnlockOSThread()
			onOwnThread(f)
			return
		}
		thread = unix.Gettid()
		f()
	}()
	<-done
	for thread != 0 && unix.Tgkill(unix.Getpid(), thread, 0) == nil {
		time.Sleep(time.Millisecond) // nothing tells of a thread's end
	}
}

func (s *Sandbox) confineThread(names []string) error {
	if err := thisThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return err
	}
	for _, name := range names {
		var err error
		switch name {
		case Landlock:
			err = s.restrict(thisThread)
		case Seccomp:
			err = installFilter(0)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
