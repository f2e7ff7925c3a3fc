// Package fakesuper shows a tree that was written with rsync's --fake-super as
// the one that it is a copy of. What only root can make is kept there as a
// regular file or directory whose attribute [Attr] says what it is: mode, owner,
// device number; the content of a symbolic link is its target.
package fakesuper

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"rrserve/internal/vfs"
)

// maxTarget bounds the target of a symbolic link in bytes. What is longer is cut
// off, as by rsync.
const maxTarget = 4095

// Tree is a vfs.FS in which objects are what their attribute says. Open and
// Xattrs are those of the tree below: nothing that is a device here is one there.
type Tree struct {
	vfs.FS
	mu     sync.Mutex
	unread []*vfs.Error
}

// New returns the view of fs.
func New(fs vfs.FS) *Tree { return &Tree{FS: fs} }

// Corrupt is an attribute that does not say what an object is. It is in the
// chain of an error of Lstat and of Info.Err.
type Corrupt struct {
	Path  vfs.Path
	Value string
}

func (c *Corrupt) Error() string {
	return fmt.Sprintf("corrupt %s xattr attached to %q: %q", Attr, c.Path, c.Value)
}

// Unread returns the errors of attributes that could not be read since it was
// last called. Their objects are shown as they are.
func (t *Tree) Unread() []*vfs.Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.unread
	t.unread = nil
	return list
}

// Lstat implements vfs.FS.
func (t *Tree) Lstat(p vfs.Path) (vfs.Info, error) {
	in, err := t.FS.Lstat(p)
	if err == nil {
		err = t.complete(p, &in)
	}
	return in, err
}

// ReadDir implements vfs.FS.
func (t *Tree) ReadDir(dir vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	list, err := t.FS.ReadDir(dir, buf)
	for i := range list {
		in := &list[i]
		if in.Err != nil {
			continue
		}
		if p, err := dir.Join(in.Name); err == nil {
			in.Err = t.complete(p, in)
		}
	}
	return list, err
}

// complete puts what the attribute of p says into in. Other types than these
// have none.
func (t *Tree) complete(p vfs.Path, in *vfs.Info) error {
	if !in.IsRegular() && !in.IsDir() {
		return nil
	}
	value, err := t.value(p)
	if e, failed := errors.AsType[*vfs.Error](err); failed {
		t.note(e)
		return nil
	}
	text, _, _ := strings.Cut(string(value), "\x00") // in C it ends there
	if !apply(text, in) {
		return &vfs.Error{Op: "getxattr", Path: p, Errno: vfs.EIO, Err: &Corrupt{p, text}}
	}
	return nil
}

var errTooLong = errors.New("the attribute is too long")

func (t *Tree) value(p vfs.Path) ([]byte, error) {
	x, err := t.Xattrs(p)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	value, err := x.Value(Attr)
	if len(value) > maxAttr {
		return nil, &vfs.Error{Op: "getxattr", Path: p, Errno: vfs.ERANGE, Err: errTooLong}
	}
	return value, err
}

// note keeps the error of an attribute unless there is no such attribute.
func (t *Tree) note(e *vfs.Error) {
	if e.Errno == vfs.ENODATA {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unread = append(t.unread, e)
}

// errno is the number of an error of the tree, 0 for none.
func errno(err error) int {
	if e, ok := errors.AsType[*vfs.Error](err); ok {
		return e.Errno
	}
	return 0
}

// Readlink implements vfs.FS. The target of a link that is a regular file below
// is its content, up to a NUL.
func (t *Tree) Readlink(p vfs.Path) (string, error) {
	if !p.Follows() {
		if text, err := t.FS.Readlink(p); errno(err) != vfs.EINVAL {
			return text, err
		}
	}
	f, err := t.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, maxTarget)
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	text, _, _ := strings.Cut(string(buf[:n]), "\x00")
	return text, nil
}
