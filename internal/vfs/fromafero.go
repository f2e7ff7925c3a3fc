package vfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/afero"
)

// readdirChunk is how many entries are asked of a directory at a time. It
// bounds what a listing takes beside its result.
const readdirChunk = 1024

// aferoFS is an FS on top of an afero stack.
type aferoFS struct {
	base  afero.Fs
	lstat func(name string) (fs.FileInfo, bool, error)
	flags Flags
}

// Flags are flag bits of a base's OpenFile; 0 for one that the base does not
// have.
type Flags struct {
	NoFollow int // do not follow a symbolic link in the last place of the name
	NoAtime  int // leave the access time as it is, for [Path.NoAtime]
	Xattrs   int // open an object of whatever type for its attributes only
}

// FromAfero makes an FS of an afero file system, which is in use
//
//	afero.NewReadOnlyFs(afero.NewBasePathFs(root, "/"))
//
// with the root of internal/jail at its base, and in tests may be an
// afero.MemMapFs. The base gets names with a leading slash.
//
// The base's fs.FileInfo should be [Attrs]; where they are not, an Info has
// what fs.FileInfo tells, one link, and zero for the rest. A directory entry
// with a method StatErr() error becomes an Info with Err set. The error number
// of a failure is what the method Errno() int of an error in the chain returns.
//
// What Readdir of a directory returns is not used any more once it was handed to
// a method Recycle([]fs.FileInfo) of its first entry, if it has one.
//
// What a base opens under Flags.Xattrs is an [XattrReader].
//
// A file opened in a base without Attrs is read by one reader at a time,
// because ReadAt of afero's own files moves an offset.
func FromAfero(base afero.Fs, flags Flags) FS {
	f := &aferoFS{base: base, flags: flags}
	if l, ok := base.(afero.Lstater); ok {
		f.lstat = l.LstatIfPossible
	} else {
		f.lstat = func(name string) (fs.FileInfo, bool, error) {
			fi, err := base.Stat(name)
			return fi, false, err
		}
	}
	return f
}

func (f *aferoFS) Lstat(p Path) (Info, error) {
	if err := p.check("lstat"); err != nil {
		return Info{}, err
	}
	fi, err := f.stat(p)
	if err != nil {
		return Info{}, newError("lstat", p, err)
	}
	var info Info
	info.set(p.Base(), fi)
	return info, nil
}

func (f *aferoFS) stat(p Path) (fi fs.FileInfo, err error) {
	if p.follow {
		return f.base.Stat(p.name)
	}
	fi, _, err = f.lstat(p.name)
	return fi, err
}

func (f *aferoFS) Readlink(p Path) (string, error) {
	if err := p.check("readlink"); err != nil {
		return "", err
	}
	l, ok := f.base.(afero.LinkReader)
	if !ok {
		return "", newError("readlink", p, afero.ErrNoReadlink)
	}
	text, err := l.ReadlinkIfPossible(p.name)
	if err != nil {
		return "", newError("readlink", p, err)
	}
	return text, nil
}

func (f *aferoFS) Open(p Path) (*File, error) {
	h, fi, err := f.open("open", p)
	if err != nil {
		return nil, err
	}
	file := &File{path: p, r: h, c: h}
	file.info.set(p.Base(), fi)
	if !file.info.IsRegular() {
		h.Close()
		return nil, notRegular(p, &file.info)
	}
	if _, ok := fi.(Attrs); !ok {
		file.r = &oneReader{r: h}
	}
	return file, nil
}

func notRegular(p Path, i *Info) error {
	e := &Error{Op: "open", Path: p, Errno: EINVAL, Err: errNotRegular}
	switch i.Type() {
	case ModeDir:
		e.Errno = EISDIR
	case ModeSymlink:
		e.Errno = ELOOP
	}
	return e
}

// flag returns the flags with which p is opened.
func (f *aferoFS) flag(p Path) int {
	flag := 0
	if !p.follow {
		flag |= f.flags.NoFollow
	}
	if p.noAtime {
		flag |= f.flags.NoAtime
	}
	return flag
}

// open opens p, whatever it is, and describes what was opened.
func (f *aferoFS) open(op string, p Path) (afero.File, fs.FileInfo, error) {
	if err := p.check(op); err != nil {
		return nil, nil, err
	}
	h, err := f.base.OpenFile(p.name, f.flag(p), 0)
	if err != nil {
		return nil, nil, newError(op, p, err)
	}
	fi, err := h.Stat()
	if err != nil {
		h.Close()
		return nil, nil, newError(op, p, err)
	}
	return h, fi, nil
}

func (f *aferoFS) ReadDir(p Path, buf []Info) ([]Info, error) {
	h, fi, err := f.open("readdir", p)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if !fi.IsDir() {
		return nil, &Error{Op: "readdir", Path: p, Errno: ENOTDIR, Err: errNotDir}
	}
	infos := buf[:0]
	for {
		list, err := h.Readdir(readdirChunk)
		var ok bool
		infos, ok = appendEntries(infos, p, list)
		switch {
		case !ok:
			return infos, &Error{Op: "readdir", Path: p, Errno: EIO, Err: ErrName}
		case err == io.EOF || err == nil && len(list) == 0:
			return infos, nil
		case err != nil:
			return infos, newError("readdir", p, err)
		}
	}
}

// appendEntries appends what describes the entries of the directory dir, up to
// the first whose name is none that a directory can hold; ok is false when there
// is one.
func appendEntries(infos []Info, dir Path, list []fs.FileInfo) (_ []Info, ok bool) {
	infos = slices.Grow(infos, len(list))
	for _, fi := range list {
		infos = infos[:len(infos)+1]
		if !infos[len(infos)-1].setEntry(dir, fi) {
			return infos[:len(infos)-1], false
		}
	}
	if len(list) > 0 {
		if r, ok := list[0].(interface{ Recycle([]fs.FileInfo) }); ok {
			r.Recycle(list)
		}
	}
	return infos, true
}

// setEntry fills i with an entry of the directory dir. It reports whether the
// name is one that a directory can hold.
func (i *Info) setEntry(dir Path, fi fs.FileInfo) bool {
	name := fi.Name()
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, '/') >= 0 {
		return false
	}
	if b, ok := fi.(interface{ StatErr() error }); ok {
		p, err := dir.Join(name)
		if err != nil {
			p = dir
		}
		*i = Info{Name: name, Err: newError("lstat", p, b.StatErr())}
		return true
	}
	i.set(name, fi)
	return true
}

// newError makes an Error of what the base returned, without the base's own
// repetition of operation and name.
func newError(op string, p Path, err error) *Error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &Error{Op: op, Path: p, Errno: errno(err), Err: err}
}

func errno(err error) int {
	var n interface {
		error
		Errno() int
	}
	switch {
	case errors.As(err, &n):
		return n.Errno()
	case errors.Is(err, fs.ErrNotExist):
		return ENOENT
	case errors.Is(err, fs.ErrPermission):
		return EACCES
	case errors.Is(err, afero.ErrNoReadlink): // a base without links
		return EINVAL
	}
	return EIO
}
