package vfstest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"rrserve/internal/vfs"
)

// Node is an object of a Memory.
type Node struct {
	Info   vfs.Info
	Data   []byte // of a regular file
	Target string // of a symbolic link
	// Errno makes Open and ReadDir fail, 0 does not.
	Errno int
	// Xattrs are the extended attributes. A nil value makes reading it fail
	// with EACCES.
	Xattrs   map[string][]byte
	children []*Node
}

// Memory is a vfs.FS in memory that lists directories in the order in which they
// were filled. It is not safe for concurrent changes.
type Memory struct{ root Node }

// NewMemory returns a Memory with an empty root directory.
func NewMemory() *Memory {
	return &Memory{Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755, Nlink: 2}}}
}

// Add puts n at path, whose directory must exist, and returns it for changes.
// Name and, where zero, size are filled in.
func (t *Memory) Add(path string, n Node) *Node {
	dir, base := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, base = path[:i], path[i+1:]
	}
	d := t.find(dir)
	n.Info.Name = base
	if n.Info.Size == 0 {
		n.Info.Size = int64(len(n.Data) + len(n.Target))
	}
	if n.Info.Nlink == 0 {
		n.Info.Nlink = 1
	}
	d.children = append(d.children, &n)
	return &n
}

// Remove takes the object at path away.
func (t *Memory) Remove(path string) {
	dir, base := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, base = path[:i], path[i+1:]
	}
	d := t.find(dir)
	for i, c := range d.children {
		if c.Info.Name == base {
			d.children = append(d.children[:i], d.children[i+1:]...)
			return
		}
	}
}

func (t *Memory) find(path string) *Node {
	n := &t.root
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			if n = n.child(part); n == nil {
				return nil
			}
		}
	}
	return n
}

func (n *Node) child(name string) *Node {
	for _, c := range n.children {
		if c.Info.Name == name {
			return c
		}
	}
	return nil
}

var errMemory = errors.New("not possible")

func fail(op string, p vfs.Path, errno int) error {
	return &vfs.Error{Op: op, Path: p, Errno: errno, Err: errMemory}
}

// maxLinks is the number of links followed for one name.
const maxLinks = 40

// resolve finds p and follows links on the way; leaving the tree is EXDEV.
func (t *Memory) resolve(op string, p vfs.Path) (*Node, error) {
	links := 0
	stack := []*Node{&t.root}
	rest := strings.TrimPrefix(p.String(), "/")
	for more := true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		here := stack[len(stack)-1]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			if len(stack) == 1 {
				return nil, fail(op, p, vfs.EXDEV)
			}
			stack = stack[:len(stack)-1]
			continue
		case !here.Info.IsDir():
			return nil, fail(op, p, vfs.ENOTDIR)
		}
		n := here.child(part)
		if n == nil {
			return nil, fail(op, p, vfs.ENOENT)
		}
		if n.Info.Type() == vfs.ModeSymlink && (more || p.Follows()) {
			if links++; links > maxLinks {
				return nil, fail(op, p, vfs.ELOOP)
			}
			if strings.HasPrefix(n.Target, "/") {
				return nil, fail(op, p, vfs.EXDEV)
			}
			if more {
				rest = n.Target + "/" + rest
			} else {
				rest, more = n.Target, true
			}
			continue
		}
		stack = append(stack, n)
	}
	return stack[len(stack)-1], nil
}

// Lstat implements vfs.FS.
func (t *Memory) Lstat(p vfs.Path) (vfs.Info, error) {
	n, err := t.resolve("lstat", p)
	if err != nil {
		return vfs.Info{}, err
	}
	return n.Info, nil
}

// ReadDir implements vfs.FS.
func (t *Memory) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	n, err := t.resolve("readdir", p)
	switch {
	case err != nil:
		return nil, err
	case !n.Info.IsDir():
		return nil, fail("readdir", p, vfs.ENOTDIR)
	case n.Errno != 0:
		return nil, fail("readdir", p, n.Errno)
	}
	list := buf[:0]
	for _, c := range n.children {
		list = append(list, c.Info)
	}
	return list, nil
}

// Readlink implements vfs.FS.
func (t *Memory) Readlink(p vfs.Path) (string, error) {
	n, err := t.resolve("readlink", p)
	if err != nil {
		return "", err
	}
	if n.Info.Type() != vfs.ModeSymlink {
		return "", fail("readlink", p, vfs.EINVAL)
	}
	return n.Target, nil
}

// Open implements vfs.FS.
func (t *Memory) Open(p vfs.Path) (*vfs.File, error) {
	n, err := t.resolve("open", p)
	switch {
	case err != nil:
		return nil, err
	case n.Info.Type() == vfs.ModeSymlink:
		return nil, fail("open", p, vfs.ELOOP)
	case !n.Info.IsRegular():
		return nil, fail("open", p, vfs.EINVAL)
	case n.Errno != 0:
		return nil, fail("open", p, n.Errno)
	}
	return vfs.NewFile(p, bytes.NewReader(n.Data), io.NopCloser(nil), n.Info), nil
}

// Xattrs implements vfs.FS.
func (t *Memory) Xattrs(p vfs.Path) (*vfs.Xattrs, error) {
	n, err := t.resolve("open", p)
	if err != nil {
		return nil, err
	}
	return vfs.NewXattrs(p, xattrs(n.Xattrs)), nil
}

// xattrs is a vfs.XattrReader.
type xattrs map[string][]byte

func (x xattrs) ListXattr() ([]string, error) { return slices.Collect(maps.Keys(x)), nil }

func (x xattrs) GetXattr(name string) ([]byte, error) {
	value, ok := x[name]
	switch {
	case !ok:
		return nil, number(vfs.ENODATA)
	case value == nil:
		return nil, number(vfs.EACCES)
	}
	return value, nil
}

// number is an error that is only a number.
type number int

func (n number) Error() string { return errMemory.Error() }
func (n number) Errno() int    { return int(n) }

func (x xattrs) Close() error { return nil }
