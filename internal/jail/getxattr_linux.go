package jail

import (
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// There are two ways to the attributes of an entry of a directory that is held
// as a handle, neither of which follows a link:
//
//	getxattrat(dir, entry, AT_SYMLINK_NOFOLLOW, name, {value, size})   Linux 6.13
//	lgetxattr("/proc/self/fd/DIR/entry", name, value, size)            before that
//
// and one to those of the object that a handle is of, since neither fgetxattr
// nor getxattrat with AT_EMPTY_PATH takes an O_PATH handle (EBADF, seen on 6.18):
//
//	getxattr("/proc/self/fd/N", name, value, size)
//
// What begins with /proc goes through a magic link, as no name of the served
// tree ever does (RESOLVE_NO_MAGICLINKS). Here it is the process's own word for a
// handle that it holds, open while the call runs: the kernel takes it straight
// to the object, which was resolved beneath the root, and follows nothing from
// there even if that is a link. An entry is one component that is not "..".
//
// A sandbox that does not know the new calls answers EPERM; where EPERM is about
// the attribute the older call says so again.

// xattrArgs is struct xattr_args of linux/xattr.h.
type xattrArgs struct {
	value       uint64
	size, flags uint32
}

// getxattr reads an attribute of an entry of at, or of what at itself is.
func getxattr(at int, entry, name string, buf []byte) (int, error) {
	if entry == "" {
		n, err := unix.Getxattr(procName(at), name, buf)
		return n, noProc(at, err)
	}
	n, err := getxattrat(at, entry, name, buf)
	if err == unix.ENOSYS || err == unix.EPERM {
		n, err = unix.Lgetxattr(procName(at)+"/"+entry, name, buf)
		return n, noProc(at, err)
	}
	return n, err
}

// listxattr reads the names of the attributes, each with a NUL behind it.
func listxattr(at int, entry string, buf []byte) (int, error) {
	if entry == "" {
		n, err := unix.Listxattr(procName(at), buf)
		return n, noProc(at, err)
	}
	n, err := listxattrat(at, entry, buf)
	if err == unix.ENOSYS || err == unix.EPERM {
		n, err = unix.Llistxattr(procName(at)+"/"+entry, buf)
		return n, noProc(at, err)
	}
	return n, err
}

func getxattrat(dir int, entry, name string, buf []byte) (int, error) {
	path, err := unix.BytePtrFromString(entry)
	if err != nil {
		return 0, err
	}
	attr, err := unix.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	// The buffer is on the heap, where nothing moves, and is kept alive.
	args := xattrArgs{value: uint64(uintptr(unsafe.Pointer(&buf[0]))), size: uint32(len(buf))}
	n, _, no := unix.Syscall6(unix.SYS_GETXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
		unix.AT_SYMLINK_NOFOLLOW, uintptr(unsafe.Pointer(attr)), uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	runtime.KeepAlive(buf)
	if no != 0 {
		return 0, no
	}
	return int(n), nil
}

func listxattrat(dir int, entry string, buf []byte) (int, error) {
	path, err := unix.BytePtrFromString(entry)
	if err != nil {
		return 0, err
	}
	n, _, no := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
		unix.AT_SYMLINK_NOFOLLOW, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0)
	if no != 0 {
		return 0, no
	}
	return int(n), nil
}

func procName(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// noProc tells a missing /proc from a missing entry: the handle is there.
func noProc(at int, err error) error {
	if err == unix.ENOENT || err == unix.ENOTDIR {
		if unix.Access(procName(at), unix.F_OK) != nil {
			return unix.ENOSYS
		}
	}
	return err
}
