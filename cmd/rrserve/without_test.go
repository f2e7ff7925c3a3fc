package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// missing is what a kernel without a wall answers.
var missing = map[string]struct {
	calls []uint32
	errno unix.Errno
}{
	"landlock": {[]uint32{unix.SYS_LANDLOCK_CREATE_RULESET}, unix.ENOSYS},
	"layers":   {[]uint32{unix.SYS_LANDLOCK_RESTRICT_SELF}, unix.E2BIG}, // it has Landlock, and 16 rulesets on this process already
	"seccomp":  {[]uint32{unix.SYS_SECCOMP}, unix.EINVAL},
	"setuid":   {[]uint32{unix.SYS_SETRESUID}, unix.EPERM},
}

// without WALL COMMAND ARG... becomes the command on a kernel without that wall:
// a filter makes its system calls fail. What is tested is then the server's own
// judgement; it has no switch for tests.
func without() {
	if err := becomeWithout(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "without:", err)
		os.Exit(3)
	}
}

func becomeWithout(wall string, command []string) error {
	name, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	w := missing[wall]
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: load}}
	for _, nr := range w.calls {
		program = append(program,
			unix.SockFilter{Code: equal, Jf: 1, K: nr},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(w.errno)})
	}
	program = append(program, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // the thread that has the filter becomes the command
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(name, command, os.Environ())
}
