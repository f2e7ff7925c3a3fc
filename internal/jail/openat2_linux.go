package jail

import (
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// O_LARGEFILE is 0 on 64-bit systems; openat2 does not imply it on others.
	openFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_LARGEFILE
	pathFlags = unix.O_PATH | unix.O_CLOEXEC

	resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS

	// maxRaces bounds how often a resolution is repeated which raced with a
	// rename (EAGAIN): path walks with ".." in a link's text are the only ones
	// that can, openat2(2).
	maxRaces = 128

	// maxLink is longer than any symbolic link's text (PATH_MAX).
	maxLink = 4096
)

// descriptor is a file descriptor that is not closed, and its number not given
// to another file, while a call uses it.
type descriptor struct {
	mu sync.RWMutex
	fd int // -1 when closed
}

// use calls f with the descriptor and repeats it when a signal interrupts it.
func (d *descriptor) use(f func(fd int) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	return wrap(uninterrupted(func() error { return f(d.fd) }))
}

// Close closes the descriptor when nothing uses it any more.
func (d *descriptor) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	err := unix.Close(d.fd)
	d.fd = -1
	return wrap(err)
}

func uninterrupted(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// beneath is the backend Openat2: an O_PATH handle of the directory.
type beneath struct {
	descriptor
	paths prefixes
}

// openBeneath pins dir. It fails with ENOSYS where openat2 cannot be used:
// older kernels say so, and a sandbox that does not know the call says EPERM.
func openBeneath(dir string) (backend, error) {
	var fd int
	err := uninterrupted(func() (err error) {
		fd, err = unix.Open(dir, pathFlags|unix.O_DIRECTORY, 0)
		return err
	})
	if err != nil {
		return nil, wrap(err)
	}
	b := &beneath{descriptor: descriptor{fd: fd}}
	probe, err := b.openat2(".", pathFlags, resolve)
	if err != nil {
		b.Close()
		if err == error(errno{unix.EPERM}) {
			err = errno{unix.ENOSYS}
		}
		return nil, err
	}
	unix.Close(probe)
	b.paths = newPrefixes(dir, b.isDir)
	return b, nil
}

func (b *beneath) below(name, path, alias string) (backend, error) {
	fd, err := b.resolve(name, pathFlags|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	sub := &beneath{descriptor: descriptor{fd: fd}}
	sub.paths = append(newPrefixes(path, sub.isDir), directory(alias))
	return sub, nil
}

// resolve opens name beneath the directory.
func (b *beneath) resolve(name string, flags uint64) (int, error) {
	fd, err := b.openat2(name, flags, resolve)
	if err != error(errno{unix.EXDEV}) {
		return fd, err
	}
	name, err = b.paths.plain(name, flags&unix.O_NOFOLLOW == 0, b.look)
	if err != nil {
		return -1, err
	}
	return b.openat2(name, flags, resolve|unix.RESOLVE_NO_SYMLINKS)
}

// isDir reports whether path leads to the directory.
func (b *beneath) isDir(path string) bool {
	var there info
	if stat(unix.AT_FDCWD, path, 0, &there) != nil {
		return false
	}
	here, err := statFD(b.fd, ".")
	return err == nil && here.dev == there.dev && here.ino == there.ino
}

// look is a looker.
func (b *beneath) look(name string) (isDir bool, link string, err error) {
	fd, err := b.openat2(name, pathFlags|unix.O_NOFOLLOW, resolve|unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return false, "", err
	}
	defer unix.Close(fd)
	info, err := statFD(fd, name)
	if err == nil && info.mode&typeMask == typeLink {
		link, err = linkText(fd)
	}
	if err != nil {
		return false, "", err
	}
	return info.mode&typeMask == typeDir, link, nil
}

// openat2 opens name beneath the directory as the flags of openat2(2) say.
func (b *beneath) openat2(name string, flags, resolve uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: flags, Resolve: resolve}
	err = b.use(func(dir int) (err error) {
		for range maxRaces {
			if fd, err = unix.Openat2(dir, name, &how); err != unix.EAGAIN {
				break
			}
		}
		return err
	})
	return fd, err
}

func noFollow(follow bool) uint64 {
	if follow {
		return 0
	}
	return unix.O_NOFOLLOW
}

func (b *beneath) open(name string, flag int) (handle, os.FileInfo, error) {
	fd, err := b.resolve(name, openFlags|uint64(flag)) // the numbers of open(2)
	if err == error(errno{unix.EPERM}) && flag&NoAtime != 0 {
		fd, err = b.resolve(name, openFlags|uint64(flag&^NoAtime))
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := statFD(fd, name)
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	switch info.mode & typeMask {
	case typeDir:
		return &dirHandle{descriptor: descriptor{fd: fd}}, info, nil
	case typeFile:
		return &fileHandle{descriptor: descriptor{fd: fd}}, info, nil
	}
	unix.Close(fd)
	return nil, nil, errno{unix.EINVAL}
}

func (b *beneath) stat(name string, follow bool) (os.FileInfo, error) {
	fd, err := b.resolve(name, pathFlags|noFollow(follow))
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	info, err := statFD(fd, name)
	if err != nil {
		return nil, err
	}
	return info, nil
}

func (b *beneath) readlink(name string) (string, error) {
	fd, err := b.resolve(name, pathFlags|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return linkText(fd)
}

// linkText reads the symbolic link that fd is a handle of.
func linkText(fd int) (string, error) {
	var buf [maxLink]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	switch {
	case err == unix.ENOENT: // the handle is not a link, readlink(2)
		return "", errno{unix.EINVAL}
	case err != nil:
		return "", wrap(err)
	case n == len(buf):
		return "", errno{unix.ENAMETOOLONG}
	}
	return string(buf[:n]), nil
}

// fileHandle is an open regular file.
type fileHandle struct{ descriptor }

func (h *fileHandle) Read(p []byte) (n int, err error) {
	err = h.use(func(fd int) (err error) { n, err = unix.Read(fd, p); return err })
	return transferred(n, len(p), err)
}

// ReadAt reads as io.ReaderAt says: less than len(p) only with an error.
func (h *fileHandle) ReadAt(p []byte, off int64) (total int, err error) {
	for total < len(p) {
		var n int
		err = h.use(func(fd int) (err error) {
			n, err = unix.Pread(fd, p[total:], off+int64(total))
			return err
		})
		if n, err = transferred(n, len(p), err); err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (h *fileHandle) Seek(offset int64, whence int) (pos int64, err error) {
	err = h.use(func(fd int) (err error) { pos, err = unix.Seek(fd, offset, whence); return err })
	return pos, err
}

func (h *fileHandle) readdir(int) ([]os.FileInfo, error) { return nil, errno{syscall.ENOTDIR} }

// transferred turns the result of read(2) into that of io.Reader.
func transferred(n, want int, err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case n == 0 && want > 0:
		return 0, io.EOF
	}
	return n, nil
}
