package vfs

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/afero"
)

// Bounds of attributes, those that rsync's clients have since 3.4. Linux allows
// less: 64 KiB for all names of an object together and 64 KiB for each value.
const (
	MaxXattrs     = 65536     // attributes of one object
	MaxXattrName  = 4095      // bytes
	MaxXattrValue = 128 << 20 // bytes
)

// Causes of an Error with ENODATA and, the others, EIO.
var (
	errNoXattrs   = errors.New("the file system has no attributes")
	errXattrs     = errors.New("too many extended attributes")
	errXattrName  = errors.New("not the name of an extended attribute")
	errXattrValue = errors.New("extended attribute too large")
	errNoReader   = errors.New("the file system opens no attributes")
)

// XattrReader is what a base has opened for its attributes. It is in builtin
// types, so that a base can have it without importing this package.
type XattrReader interface {
	// ListXattr returns the names of all attributes, in any order.
	ListXattr() ([]string, error)
	// GetXattr returns a value which the caller may keep.
	GetXattr(name string) ([]byte, error)
	io.Closer
}

// Xattrs is an object opened for its extended attributes, by their Linux names
// such as "user.note". The access control lists are among them, as
// "system.posix_acl_access" and "system.posix_acl_default". It is used by one
// goroutine.
type Xattrs struct {
	path Path
	r    XattrReader // nil where the file system has no attributes
}

// NewXattrs makes the Xattrs of the object p that an FS has opened as r, which
// is nil where the file system has no attributes.
func NewXattrs(p Path, r XattrReader) *Xattrs { return &Xattrs{path: p, r: r} }

// Names returns the names of all attributes, in any order: at most MaxXattrs of
// at most MaxXattrName bytes each. A file system without attributes has none.
func (x *Xattrs) Names() ([]string, error) {
	if x.r == nil {
		return nil, nil
	}
	names, err := x.r.ListXattr()
	switch {
	case err != nil && errno(err) == ENOTSUP:
		return nil, nil
	case err != nil:
		return nil, newError("listxattr", x.path, err)
	case len(names) > MaxXattrs:
		return nil, newError("listxattr", x.path, errXattrs)
	}
	for _, n := range names {
		if n == "" || len(n) > MaxXattrName || strings.IndexByte(n, 0) >= 0 {
			return nil, newError("listxattr", x.path, errXattrName)
		}
	}
	return names, nil
}

// Value returns the value of an attribute, of at most MaxXattrValue bytes. The
// error's number is ENODATA if there is none of that name, and also where the
// file system has no attributes.
func (x *Xattrs) Value(name string) ([]byte, error) {
	if x.r == nil {
		return nil, x.missing(errNoXattrs)
	}
	value, err := x.r.GetXattr(name)
	switch {
	case err != nil && errno(err) == ENOTSUP:
		return nil, x.missing(err)
	case err != nil:
		return nil, newError("getxattr", x.path, err)
	case len(value) > MaxXattrValue:
		return nil, newError("getxattr", x.path, errXattrValue)
	}
	return value, nil
}

func (x *Xattrs) missing(err error) error {
	return &Error{Op: "getxattr", Path: x.path, Errno: ENODATA, Err: err}
}

// Close releases the object.
func (x *Xattrs) Close() error {
	if x.r == nil {
		return nil
	}
	return x.r.Close()
}

func (f *aferoFS) Xattrs(p Path) (*Xattrs, error) {
	if err := p.check("open"); err != nil {
		return nil, err
	}
	if f.flags.Xattrs == 0 { // what is not there has no attributes either
		if _, err := f.stat(p); err != nil {
			return nil, newError("open", p, err)
		}
		return NewXattrs(p, nil), nil
	}
	h, err := f.base.OpenFile(p.name, f.flag(p)|f.flags.Xattrs, 0)
	if err != nil {
		return nil, newError("open", p, err)
	}
	r, ok := bottom(h).(XattrReader)
	if !ok {
		h.Close()
		return nil, newError("open", p, errNoReader)
	}
	return NewXattrs(p, r), nil
}

// bottom returns the base's own file. BasePathFs is the one part of the stack
// that wraps files, and afero.File has no method for attributes to pass on.
func bottom(h afero.File) afero.File {
	for {
		w, ok := h.(*afero.BasePathFile)
		if !ok {
			return h
		}
		h = w.File
	}
}
