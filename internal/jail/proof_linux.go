package jail

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Proof is a list of attempts to break out of a [Sandbox]. Each ends without a
// trace where it is let through: it reads one byte, makes a file that has no name
// and goes with its descriptor, or asks for something that cannot succeed, so
// that the error tells whether the kernel came to look at it (ENOENT, EFAULT,
// EINVAL, ESRCH, ECONNREFUSED) or refused before (EPERM, EACCES).
type Proof struct {
	sandbox *Sandbox
	outside string // a file outside, "" for none
	handle  []byte // struct file_handle of it
	mount   int    // a handle of its file system, -1 for none
	parent  int
}

type attempt struct {
	name string
	try  func(*Proof) error
}

// attempts are in the order of the table.
var attempts = []attempt{
	{"read a file outside", (*Proof).readOutside},
	{"open one by its number", (*Proof).openByHandle},
	{"create a file inside", (*Proof).create},
	{"create one with openat2", (*Proof).create2},
	{"change a mode", chmod},
	{"execute a program", execute},
	{"start a process", fork},
	{"connect by TCP", func(*Proof) error { return connect(unix.SOCK_STREAM) }},
	{"connect by UDP", func(*Proof) error { return connect(unix.SOCK_DGRAM) }},
	{"listen on another port", listen},
	{"read another process", (*Proof).readProcess},
	{"signal another process", (*Proof).signal},
	{"become another user", become0},
	{"make a namespace", unshare},
}

// NewProof prepares the attempts; what they aim at is found while it is within
// reach. The first of the sandbox's trees is where a file is to be created.
func NewProof(s *Sandbox) *Proof {
	p := &Proof{sandbox: s, parent: os.Getppid(), mount: -1, handle: noHandle}
	exe, _ := os.Executable()
	for _, name := range []string{exe, "/etc/hostname", "/proc/version", "/"} {
		if !s.holds(name) && readByte(name) == nil {
			p.outside = name
			break
		}
	}
	if handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, p.outside, 0); err == nil {
		p.handle = binary.NativeEndian.AppendUint32(nil, uint32(handle.Size()))
		p.handle = binary.NativeEndian.AppendUint32(p.handle, uint32(handle.Type()))
		p.handle = append(p.handle, handle.Bytes()...)
	}
	if p.outside != "" {
		if fd, err := unix.Open(filepath.Dir(p.outside), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
			p.mount = fd
		}
	}
	return p
}

// holds reports whether the name lies in what can be read.
func (s *Sandbox) holds(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return true // nothing to aim at
	}
	for _, dir := range append(s.Trees[:len(s.Trees):len(s.Trees)], s.Files...) {
		if d, err := filepath.EvalSymlinks(dir); err == nil {
			if rel, err := filepath.Rel(d, real); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				return true
			}
		}
	}
	return false
}

// Try makes the attempts.
func (p *Proof) Try() []Outcome {
	var all []Outcome
	for _, a := range attempts {
		o := Outcome{Attempt: a.name, Err: a.try(p)}
		o.Aimless = o.Err == errNothing
		o.Stopped = stopped(o.Err)
		all = append(all, o)
	}
	return all
}

// Behind makes the attempts on a thread that has the walls of these names and no
// other, and ends with them. The process stays as it is.
func (p *Proof) Behind(walls ...string) (all []Outcome, err error) {
	err = p.sandbox.behind(walls, func() { all = p.Try() })
	return all, err
}

// Close releases what the attempts aimed at.
func (p *Proof) Close() {
	if p.mount >= 0 {
		unix.Close(p.mount)
		p.mount = -1
	}
}

// errNothing says that there is nothing for an attempt to aim at.
var errNothing = errors.New("nothing to try it on")

// stopped tells an attempt that was refused from one that was let through.
func stopped(err error) bool {
	for _, no := range []unix.Errno{unix.EPERM, unix.EACCES, unix.EROFS, unix.ENOSYS} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// result is the error of a raw system call; a descriptor that it returned is
// closed.
func result(fd uintptr, no unix.Errno) error {
	if no != 0 {
		return no
	}
	unix.Close(int(fd))
	return nil
}

func (p *Proof) readOutside() error {
	if p.outside == "" {
		return errNothing
	}
	return readByte(p.outside)
}

// readByte reads the beginning of a file, or opens a directory to list it.
func readByte(name string) error {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err = unix.Read(fd, make([]byte, 1)); err == unix.EISDIR {
		err = nil
	}
	return err
}

// noHandle stands for a file handle where there is none: of no size.
var noHandle = make([]byte, 8)

// openByHandle is what CAP_DAC_READ_SEARCH allows beyond reading what has a name.
func (p *Proof) openByHandle() error {
	fd, _, no := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(p.mount), uintptr(unsafe.Pointer(&p.handle[0])), unix.O_RDONLY|unix.O_CLOEXEC)
	return result(fd, no)
}

// create makes a file without a name (O_TMPFILE), which vanishes.
func (p *Proof) create() error {
	fd, err := unix.Open(p.sandbox.Trees[0], unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	return result(uintptr(fd), asErrno(err))
}

// create2 is create by the call whose flags the filter cannot see.
func (p *Proof) create2() error {
	how := unix.OpenHow{Flags: unix.O_TMPFILE | unix.O_WRONLY | unix.O_CLOEXEC, Mode: 0o600}
	fd, err := unix.Openat2(unix.AT_FDCWD, p.sandbox.Trees[0], &how)
	return result(uintptr(fd), asErrno(err))
}

// chmod names nothing (ENOENT).
func chmod(*Proof) error {
	var empty [1]byte
	_, _, no := unix.Syscall6(unix.SYS_FCHMODAT, noDir, uintptr(unsafe.Pointer(&empty)), 0o600, 0, 0, 0)
	return asError(no)
}

// execute gives the program's arguments at an address where nothing is
// (EFAULT). From Linux 6.8 on, the file is opened before they are read.
func execute(*Proof) error {
	const nowhere = 1
	name := [...]byte{'/', 'p', 'r', 'o', 'c', '/', 's', 'e', 'l', 'f', '/', 'e', 'x', 'e', 0}
	_, _, no := unix.Syscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&name)), nowhere, nowhere)
	return asError(no)
}

// fork asks for a process that shares signal handlers without sharing memory
// (EINVAL).
func fork(*Proof) error {
	_, _, no := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_SIGHAND, 0, 0, 0, 0, 0)
	return asError(no)
}

// connect goes to a port of this machine on which nobody listens.
func connect(kind int) error {
	const port = 1
	for _, family := range []struct {
		number int
		at     unix.Sockaddr
	}{
		{unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}},
		{unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}},
	} {
		fd, err := unix.Socket(family.number, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err == unix.EAFNOSUPPORT {
			continue
		}
		if err == nil {
			err = unix.Connect(fd, family.at)
			unix.Close(fd)
		}
		return err
	}
	return errNothing
}

// listen binds a socket to any free port.
func listen(*Proof) error {
	for _, family := range []struct {
		number int
		at     unix.Sockaddr
	}{{unix.AF_INET, &unix.SockaddrInet4{}}, {unix.AF_INET6, &unix.SockaddrInet6{}}} {
		fd, err := unix.Socket(family.number, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == unix.EAFNOSUPPORT {
			continue
		}
		if err == nil {
			err = unix.Bind(fd, family.at)
			unix.Close(fd)
		}
		return err
	}
	return errNothing
}

// readProcess reads what is not mapped (EFAULT) in the memory of the parent.
func (p *Proof) readProcess() error {
	if p.parent <= 0 {
		return errNothing
	}
	var b [1]byte
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	_, err := unix.ProcessVMReadv(p.parent, []unix.Iovec{local}, []unix.RemoteIovec{{Base: 0, Len: len(b)}}, 0)
	return err
}

// signal sends the parent the signal that is none.
func (p *Proof) signal() error {
	if p.parent <= 0 {
		return errNothing
	}
	return unix.Kill(p.parent, 0)
}

// become0 leaves the users of this thread as they are.
func become0(*Proof) error {
	const same = ^uintptr(0)
	_, _, no := unix.RawSyscall(unix.SYS_SETRESUID, same, same, same)
	return asError(no)
}

// unshare shares everything.
func unshare(*Proof) error { return unix.Unshare(0) }

// noDir is AT_FDCWD for a raw system call.
const noDir = ^uintptr(-unix.AT_FDCWD - 1)

func asErrno(err error) unix.Errno {
	var no unix.Errno
	errors.As(err, &no)
	return no
}

func asError(no unix.Errno) error {
	if no != 0 {
		return no
	}
	return nil
}
