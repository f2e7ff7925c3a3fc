//go:build !linux

package jail

import (
	"errors"
	"io/fs"
	"syscall"
)

// linuxNumber translates the numbers that reading files meets; the others
// become EIO.
func linuxNumber(no syscall.Errno) int {
	for _, n := range []struct {
		no    syscall.Errno
		linux int
	}{
		{syscall.EPERM, 1},
		{syscall.ENOENT, 2},
		{syscall.EIO, 5},
		{syscall.EACCES, 13},
		{syscall.EXDEV, 18},
		{syscall.ENOTDIR, 20},
		{syscall.EISDIR, 21},
		{syscall.EINVAL, 22},
		{syscall.ENFILE, 23},
		{syscall.EMFILE, 24},
		{syscall.EROFS, 30},
		{syscall.ENAMETOOLONG, 36},
		{syscall.ENOSYS, 38},
		{syscall.ELOOP, 40},
		{syscall.ESTALE, 116},
	} {
		if no == n.no {
			return n.linux
		}
	}
	switch { // Windows has numbers of its own
	case errors.Is(no, fs.ErrNotExist):
		return 2
	case errors.Is(no, fs.ErrPermission):
		return 13
	}
	return 5
}
