//go:build linux && (amd64 || arm || arm64 || loong64 || riscv64)

package jail

import (
	"encoding/binary"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The filter is a list of what may be called, made for the Go runtime and for
// reading files and sockets that are open; the rest fails with EPERM. An error,
// and not death, because a call that was forgotten here then costs one session
// and not the backup of all; and without a line in the kernel's log, which a
// process that was taken over could fill.
//
// What a filter cannot see is behind a pointer: names, and the flags of openat2,
// which writes as well as it reads. There only Landlock holds, which looks at the
// file that is opened. The filter looks at openat and at what changes files by
// name without opening them, where Landlock has no say: mode, owner, times,
// attributes.

// auditArch is the kernel's number of the architecture: a call made through
// another one, such as 32-bit x86, has other numbers.
var auditArch = map[string]uint32{
	"amd64":   unix.AUDIT_ARCH_X86_64,
	"arm":     unix.AUDIT_ARCH_ARM,
	"arm64":   unix.AUDIT_ARCH_AARCH64,
	"loong64": unix.AUDIT_ARCH_LOONGARCH64,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
}[runtime.GOARCH]

// x32 is set in the numbers of the x32 calls, which share auditArch with amd64.
// No other architecture has numbers as high.
const x32 = 0x40000000

// always are the calls that are allowed whatever their arguments. alwaysByWidth
// has those whose names differ between registers of 64 and of 32 bits.
var always = []uint32{
	// Files and sockets that are open.
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_CLOSE,
	unix.SYS_FDATASYNC, // of the database of checksums, which is open
	unix.SYS_ACCEPT4, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT,
	unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_CTL,
	// Files by name, to read them.
	unix.SYS_OPENAT2, unix.SYS_STATX, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_GETDENTS64,
	unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_GETXATTRAT, unix.SYS_LISTXATTRAT,
	// The Go runtime: memory, threads, signals, clocks.
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_RESTART_SYSCALL,
	unix.SYS_MADVISE, unix.SYS_MUNMAP, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETRANDOM,
	unix.SYS_SIGALTSTACK, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN,
	unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
}

// condition is on the lower half of an argument, the half that the kernel looks
// at in all the arguments named here. In a register of 32 bits it is all there is,
// and no call with a condition has an argument that takes two of them.
type condition struct {
	arg        int // 0 to 5
	mask, want uint32
}

// sometimes are the calls that are allowed if all the conditions hold; a call
// may stand here more than once.
func sometimes(pid uint32) []conditional {
	const (
		all = ^uint32(0)
		// What makes a directory's or a file's content change, or the flag mean
		// something else. O_PATH and O_NOATIME are fine.
		writes = unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY
		// A thread as the Go runtime makes it, and on amd64 with CLONE_SETTLS.
		thread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	)
	equal := func(arg int, want uint32) condition { return condition{arg, all, want} }
	only := func(nr uint32, when ...condition) conditional { return conditional{nr, when} }
	rules := []conditional{
		only(unix.SYS_OPENAT, condition{2, writes, unix.O_RDONLY}),
		only(sysMmap, condition{2, unix.PROT_EXEC, 0}),
		only(unix.SYS_CLONE, condition{0, all &^ unix.CLONE_SETTLS, thread}),
		only(unix.SYS_TGKILL, equal(0, pid)),            // a thread of this process, to preempt it
		only(unix.SYS_PRCTL, equal(0, unix.PR_SET_VMA)), // names of the heap's mappings
		only(unix.SYS_SETSOCKOPT, equal(1, unix.SOL_SOCKET), equal(2, unix.SO_KEEPALIVE)),
	}
	for _, nr := range sysFcntl {
		for _, cmd := range []uint32{unix.F_DUPFD_CLOEXEC, unix.F_GETFL, unix.F_SETFL} {
			rules = append(rules, only(nr, equal(1, cmd)))
		}
	}
	for _, opt := range []uint32{unix.TCP_NODELAY, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT, unix.TCP_QUICKACK} {
		rules = append(rules, only(unix.SYS_SETSOCKOPT, equal(1, unix.IPPROTO_TCP), equal(2, opt)))
	}
	return rules
}

type conditional struct {
	nr   uint32
	when []condition
}

// Offsets in struct seccomp_data, seccomp(2).
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

// filterProgram is the filter as classic BPF. It is one list of blocks, each of
// which lets a call through or goes on to the next; nothing jumps further than
// the block's end.
func filterProgram() []unix.SockFilter {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		ret     = unix.BPF_RET | unix.BPF_K
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		and     = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K

		allow = unix.SECCOMP_RET_ALLOW
		deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	var p []unix.SockFilter
	add := func(code uint16, k uint32, yes, no int) {
		p = append(p, unix.SockFilter{Code: code, Jt: uint8(yes), Jf: uint8(no), K: k})
	}
	add(load, dataArch, 0, 0)
	add(equal, auditArch, 1, 0)
	add(ret, deny, 0, 0)
	add(load, dataNr, 0, 0)
	add(atLeast, x32, 0, 1)
	add(ret, deny, 0, 0)
	for _, nr := range slices.Concat(always, alwaysByWidth) {
		add(equal, nr, 0, 1)
		add(ret, allow, 0, 0)
	}
	for _, c := range sometimes(uint32(os.Getpid())) {
		size := 3*len(c.when) + 2 // what follows the comparison of the number
		add(equal, c.nr, 0, size)
		for i, w := range c.when {
			add(load, argOffset(w.arg), 0, 0)
			add(and, w.mask, 0, 0)
			add(equal, w.want, 0, 3*(len(c.when)-i-1)+1)
		}
		add(ret, allow, 0, 0)
		add(load, dataNr, 0, 0)
	}
	add(ret, deny, 0, 0)
	return p
}

// argOffset is where the lower half of an argument lies.
func argOffset(arg int) uint32 {
	at := uint32(dataArgs + 8*arg)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		at += 4
	}
	return at
}

// installFilter puts the filter on this thread, or with
// SECCOMP_FILTER_FLAG_TSYNC on all threads of the process, which then also have
// no_new_privs. This thread must have it.
func installFilter(flags uintptr) error {
	program := filterProgram()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	other, _, no := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if no != 0 {
		return no
	}
	if other != 0 { // with TSYNC, a thread that could not be brought along
		return unix.ESRCH
	}
	return nil
}

// seccompBuilt tells that there is a filter for this architecture.
const seccompBuilt = true
