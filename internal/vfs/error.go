package vfs

import (
	"errors"
	"fmt"
)

// Error numbers the engine distinguishes, Linux values on every platform
// because they are printed in messages to rsync users.
const (
	ENOENT       = 2
	EIO          = 5
	EACCES       = 13
	EXDEV        = 18
	ENOTDIR      = 20
	EISDIR       = 21
	EINVAL       = 22
	ERANGE       = 34
	ENAMETOOLONG = 36
	ELOOP        = 40
	ENODATA      = 61 // there is no such attribute
	ENOTSUP      = 95 // there are no attributes
)

// Error is the failure of one operation on one name.
type Error struct {
	Op    string // "lstat", "readdir", "readlink", "open", "read", "listxattr", "getxattr"
	Path  Path
	Errno int // Linux error number, EIO when the cause has none
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %q: %v", e.Op, e.Path, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Causes of an Error with EINVAL, EISDIR or ELOOP, and with ENOTDIR.
var (
	errNotRegular = errors.New("not a regular file")
	errNotDir     = errors.New("not a directory")
)
