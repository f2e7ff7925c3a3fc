package jail

import (
	"errors"
	"io/fs"
	"syscall"
)

// errno is a syscall.Errno that tells its number in Linux's numbering. It
// answers errors.Is as the syscall.Errno does.
type errno struct{ no syscall.Errno }

func (e errno) Error() string {
	if e.no == syscall.EXDEV { // nothing here renames or links
		return "leads out of the tree"
	}
	return e.no.Error()
}

func (e errno) Unwrap() error { return e.no }

// Errno returns the Linux error number.
func (e errno) Errno() int { return linuxNumber(e.no) }

// wrap gives the error of a system call its number; nil stays nil, and what
// has no number stays as it is.
func wrap(err error) error {
	if err == nil {
		return nil // before errors.As allocates
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		return errno{no}
	}
	return err
}

// wrapOSRoot is wrap for the errors of package os, of which some have no error
// number and are not exported.
func wrapOSRoot(err error) error {
	if err == nil {
		return nil
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	switch err.Error() { // the tests of OSRoot notice when one changes
	case "path escapes from parent":
		return errno{syscall.EXDEV}
	case "empty path":
		return errno{syscall.ENOENT}
	case "not a directory":
		return errno{syscall.ENOTDIR}
	case "use of closed file":
		return fs.ErrClosed
	}
	return wrap(err)
}
