package jail

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"
)

// Xattrs is the flag of [Root.OpenFile] to open an object, of whatever type, for
// its extended attributes only. Nothing is asked of the object itself: an
// O_PATH handle wakes no FIFO, starts no device, needs no right to read, and can
// be one of a symbolic link. What is opened can be closed, described by Stat,
// and has two methods beside those of an afero.File:
//
//	ListXattr() ([]string, error)         // all names, in no order
//	GetXattr(name string) ([]byte, error) // ENODATA where there is none
//
// ENOTSUP says that the object's file system has no attributes.
const Xattrs = unix.O_PATH

// Answers of the kernel are read into a small buffer first, because it clears
// as much memory as it is offered. What is larger than the second one cannot
// be (XATTR_SIZE_MAX and XATTR_LIST_MAX, linux/limits.h).
const (
	smallXattr = 512
	maxXattr   = 64 << 10
)

var (
	smallXattrs = sync.Pool{New: func() any { b := make([]byte, smallXattr); return &b }}
	largeXattrs = sync.Pool{New: func() any { b := make([]byte, maxXattr); return &b }}
)

// pathOpener is a backend that makes O_PATH handles.
type pathOpener interface {
	openPath(name string, follow bool) (fd int, err error)
}

func (b *beneath) openPath(name string, follow bool) (int, error) {
	return b.resolve(name, pathFlags|noFollow(follow))
}

// openPath opens what name leads to. O_PATH makes os.Root open a link in the
// last place itself, so that what it leads to is found out before.
func (b *osRoot) openPath(name string, follow bool) (fd int, err error) {
	if follow {
		if name, err = b.paths.plain(name, true, b.lookPlain); err != nil {
			return -1, err
		}
	}
	err = b.through(name, false, func(name string) error {
		fd, err = b.openLast(name)
		return err
	})
	if err != nil || !follow {
		return fd, err
	}
	if i, err := statFD(fd, name); err != nil || i.mode&typeMask == typeLink {
		unix.Close(fd)
		return -1, errno{unix.ELOOP} // another object has taken its place
	}
	return fd, nil
}

// openLast opens name, in whose last place no link is followed.
func (b *osRoot) openLast(name string) (fd int, err error) {
	f, err := b.root.OpenFile(name, pathFlags|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, wrapOSRoot(err)
	}
	defer f.Close()
	err = uninterrupted(func() error {
		fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	return fd, wrap(err)
}

// openXattrs opens an object for its attributes.
func (r *Root) openXattrs(name string, follow bool) (afero.File, error) {
	fd, err := r.backend.(pathOpener).openPath(relative(name), follow)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &xattrFile{descriptor: descriptor{fd: fd}, name: name}, nil
}

// xattrFile is an O_PATH handle of an object.
type xattrFile struct {
	readOnlyFile
	descriptor
	name string
}

var errPathOnly error = errno{unix.EBADF}

func (f *xattrFile) Name() string                       { return f.name }
func (f *xattrFile) Read([]byte) (int, error)           { return 0, errPathOnly }
func (f *xattrFile) ReadAt([]byte, int64) (int, error)  { return 0, errPathOnly }
func (f *xattrFile) Seek(int64, int) (int64, error)     { return 0, errPathOnly }
func (f *xattrFile) Readdir(int) ([]os.FileInfo, error) { return nil, errPathOnly }
func (f *xattrFile) Readdirnames(int) ([]string, error) { return nil, errPathOnly }

// Stat describes the object.
func (f *xattrFile) Stat() (os.FileInfo, error) {
	i := &info{name: base(f.name)}
	err := f.use(func(fd int) error { return stat(fd, "", unix.AT_EMPTY_PATH, i) })
	if err != nil {
		return nil, err
	}
	return i, nil
}

// Neither fgetxattr(2) nor getxattrat(2) with AT_EMPTY_PATH takes an O_PATH
// handle (EBADF, seen on Linux 6.18), and there is no other handle of a symbolic
// link or a device. What is left is getxattr(2) of the name that /proc has for
// the handle:
//
//	getxattr("/proc/self/fd/N", name, value, size)
//
// That goes through a magic link, as no name of the served tree ever does
// (RESOLVE_NO_MAGICLINKS). Here it is the process's own word for a handle that it
// holds, open while the call runs: the kernel takes it straight to the object,
// which was resolved beneath the directory, and follows nothing from there even
// if the object is a link.

func procName(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// noProc tells a missing /proc from a missing object: the object is held.
func noProc(err error) error {
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return unix.ENOSYS
	}
	return err
}

// ListXattr returns the names of the object's attributes.
func (f *xattrFile) ListXattr() ([]string, error) {
	list, err := f.answer(unix.Listxattr)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

// GetXattr returns the value of an attribute.
func (f *xattrFile) GetXattr(name string) ([]byte, error) {
	return f.answer(func(object string, buf []byte) (int, error) { return unix.Getxattr(object, name, buf) })
}

// answer returns what ask writes into a buffer that is large enough.
func (f *xattrFile) answer(ask func(object string, buf []byte) (int, error)) ([]byte, error) {
	out, err := f.into(&smallXattrs, ask)
	if err == error(errno{unix.ERANGE}) {
		out, err = f.into(&largeXattrs, ask)
	}
	return out, err
}

func (f *xattrFile) into(buffers *sync.Pool, ask func(object string, buf []byte) (int, error)) (out []byte, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	err = f.use(func(fd int) error {
		n, err := ask(procName(fd), *buf)
		if err == nil {
			out = append(make([]byte, 0, n), (*buf)[:n]...)
		}
		return noProc(err)
	})
	return out, err
}
