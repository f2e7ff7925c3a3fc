package vfs

import (
	"errors"
	"strings"
)

// MaxPath bounds the length of a Path in bytes, including the leading slash
// that String prints (Linux PATH_MAX without its NUL).
const MaxPath = 4095

// Errors of ParsePath and Path.Join, and of an FS that is given the zero Path.
var (
	ErrDotDot  = errors.New(`".." is not allowed in a path`)
	ErrNUL     = errors.New("NUL byte in a path")
	ErrTooLong = errors.New("path too long")
	ErrName    = errors.New("not a single path component")
	ErrNoPath  = errors.New("no path")
)

// Path names an object beneath the root of an FS. It is rooted, cleaned and
// free of ".." and NUL bytes; the bytes are otherwise the file system's own
// (not necessarily UTF-8). The zero Path names nothing and is refused by every
// FS.
type Path struct {
	name    string // "/" or "/a/b"
	follow  bool
	noAtime bool
}

// Root returns the Path of the root itself.
func Root() Path { return Path{name: "/"} }

// ParsePath parses a slash-separated name relative to the root; a leading
// slash, repeated slashes, "." components and a trailing slash are dropped.
// Any ".." component is refused, also where it would stay inside.
func ParsePath(name string) (Path, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return Path{}, ErrNUL
	}
	if clean(name) {
		if len(name) > MaxPath {
			return Path{}, ErrTooLong
		}
		return Path{name: name}, nil
	}
	var b strings.Builder
	b.Grow(len(name) + 1)
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return Path{}, ErrDotDot
		default:
			b.WriteByte('/')
			b.WriteString(part)
		}
	}
	if b.Len() > MaxPath {
		return Path{}, ErrTooLong
	}
	if b.Len() == 0 {
		return Root(), nil
	}
	return Path{name: b.String()}, nil
}

// clean reports whether name is already in the form that String prints.
func clean(name string) bool {
	if name == "" || name[0] != '/' || len(name) > 1 && name[len(name)-1] == '/' {
		return false
	}
	return !strings.Contains(name, "//") && !strings.Contains(name, "/.")
}

// Join returns the Path of the entry name in the directory p. The name must be
// a single component as ReadDir returns it. The result follows no link.
func (p Path) Join(name string) (Path, error) {
	switch {
	case p.name == "":
		return Path{}, ErrName
	case name == "..":
		return Path{}, ErrDotDot
	case strings.IndexByte(name, 0) >= 0:
		return Path{}, ErrNUL
	case name == "" || name == "." || strings.IndexByte(name, '/') >= 0:
		return Path{}, ErrName
	}
	dir := p.name
	if dir == "/" {
		dir = ""
	}
	if len(dir)+1+len(name) > MaxPath {
		return Path{}, ErrTooLong
	}
	return Path{name: dir + "/" + name}, nil
}

// Dir returns the Path of the directory that holds p; the root holds itself.
func (p Path) Dir() Path {
	i := strings.LastIndexByte(p.name, '/')
	if i <= 0 {
		if p.name == "" {
			return Path{}
		}
		return Root()
	}
	return Path{name: p.name[:i]}
}

// Base returns the last component of p, "" for the root.
func (p Path) Base() string {
	return p.name[strings.LastIndexByte(p.name, '/')+1:]
}

// Follow returns the same name with a symbolic link in its last place
// followed, as far as it resolves beneath the root.
func (p Path) Follow() Path { p.follow = true; return p }

// Follows reports whether p was made by Follow.
func (p Path) Follows() bool { return p.follow }

// NoAtime returns the same name, which when opened leaves the access time of
// the object as it is, where the file system can and may do that.
func (p Path) NoAtime() Path { p.noAtime = true; return p }

// check refuses the zero Path.
func (p Path) check(op string) error {
	if p.name == "" {
		return &Error{Op: op, Path: p, Errno: EINVAL, Err: ErrNoPath}
	}
	return nil
}

// IsRoot reports whether p names the root.
func (p Path) IsRoot() bool { return p.name == "/" }

// String returns the name with a leading slash; the root is "/". The zero Path
// gives "".
func (p Path) String() string { return p.name }
