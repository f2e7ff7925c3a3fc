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
type beneath struct{ descriptor }

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
	b := &beneath{descriptor{fd: fd}}
	probe, err := b.resolve(".", pathFlags)
	if err != nil {
		b.Close()
		if err == error(errno{unix.EPERM}) {
			err = errno{unix.ENOSYS}
		}
		return nil, err
	}
	unix.Close(probe)
	return b, nil
}

// resolve opens name beneath the directory.
func (b *beneath) resolve(name string, flags uint64) (fd int, err error) {
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

func (b *beneath) open(name string, follow bool) (handle, os.FileInfo, error) {
	fd, err := b.resolve(name, openFlags|noFollow(follow))
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
