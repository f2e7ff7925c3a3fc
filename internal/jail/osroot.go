package jail

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// maxTries bounds how often a name is looked up again that got another object
// between the look and the opening.
const maxTries = 8

// osRoot is the backend OSRoot.
type osRoot struct {
	root  *os.Root
	paths prefixes
}

func openOSRoot(dir string) (backend, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, wrapOSRoot(err)
	}
	b := &osRoot{root: root}
	b.paths = newPrefixes(dir, b.isDir)
	return b, nil
}

// isDir reports whether path leads to the directory.
func (b *osRoot) isDir(path string) bool {
	here, err := b.root.Stat(".")
	there, err2 := os.Stat(path)
	return err == nil && err2 == nil && os.SameFile(here, there)
}

func (b *osRoot) below(name, path, alias string) (sub backend, err error) {
	err = b.through(name, true, func(name string) error {
		root, err := b.root.OpenRoot(name)
		if err != nil {
			return wrapOSRoot(err)
		}
		below := &osRoot{root: root}
		below.paths = append(newPrefixes(path, below.isDir), directory(alias))
		sub = below
		return nil
	})
	return sub, err
}

func (b *osRoot) Close() error { return b.root.Close() }

// through calls f with name, and where that leads out, with the name that
// absolute links below the directory lead to.
func (b *osRoot) through(name string, follow bool, f func(name string) error) error {
	err := f(name)
	if err != error(errno{syscall.EXDEV}) {
		return err
	}
	if name, err = b.paths.plain(name, follow, b.lookPlain); err != nil {
		return err
	}
	return f(name)
}

// lookPlain is a looker.
func (b *osRoot) lookPlain(name string) (isDir bool, link string, err error) {
	info, err := b.look(name, false)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		link, err = b.root.Readlink(name)
	}
	if err != nil {
		return false, "", wrapOSRoot(err)
	}
	return info.IsDir(), link, nil
}

func (b *osRoot) stat(name string, follow bool) (info os.FileInfo, err error) {
	err = b.through(name, follow, func(name string) error {
		info, err = b.look(name, follow)
		return err
	})
	if err != nil {
		return nil, err
	}
	return withAttrs(info, base(name)), nil
}

func (b *osRoot) look(name string, follow bool) (os.FileInfo, error) {
	look := b.root.Lstat
	if follow {
		look = b.root.Stat
	}
	info, err := look(name)
	return info, wrapOSRoot(err)
}

func (b *osRoot) readlink(name string) (text string, err error) {
	err = b.through(name, false, func(name string) error {
		text, err = b.root.Readlink(name)
		return wrapOSRoot(err)
	})
	return text, err
}

func (b *osRoot) open(name string, flag int) (h handle, info os.FileInfo, err error) {
	err = b.through(name, flag&NoFollow == 0, func(name string) error {
		h, info, err = b.openInside(name, flag)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return h, withAttrs(info, base(name)), nil
}

// openInside looks before it opens, because os.Root follows a link in the last
// place even under O_NOFOLLOW, and because it opens differently what is a
// directory. What was opened must be what was seen.
func (b *osRoot) openInside(name string, flag int) (handle, os.FileInfo, error) {
	for range maxTries {
		seen, err := b.look(name, flag&NoFollow == 0)
		if err != nil {
			return nil, nil, err
		}
		h, info, err := b.openSeen(name, seen, flag&NoAtime)
		if err != nil {
			return nil, nil, err
		}
		if os.SameFile(seen, info) {
			return h, info, nil
		}
		h.Close()
	}
	return nil, nil, errno{syscall.ELOOP}
}

func (b *osRoot) openSeen(name string, seen os.FileInfo, noAtime int) (handle, os.FileInfo, error) {
	switch seen.Mode().Type() {
	case 0:
		return b.openFile(name, noAtime)
	case fs.ModeDir:
		return b.openDir(name)
	case fs.ModeSymlink:
		return nil, nil, errno{syscall.ELOOP}
	}
	return nil, nil, errno{syscall.EINVAL}
}

func (b *osRoot) openFile(name string, noAtime int) (handle, os.FileInfo, error) {
	f, err := b.root.OpenFile(name, osRootFlags|noAtime&osRootNoAtime, 0)
	if noAtime != 0 && errors.Is(err, syscall.EPERM) {
		f, err = b.root.OpenFile(name, osRootFlags, 0)
	}
	if err != nil {
		return nil, nil, wrapOSRoot(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errno{syscall.EINVAL}
	}
	if err != nil {
		f.Close()
		return nil, nil, wrapOSRoot(err)
	}
	return osFile{f}, info, nil
}

// openDir opens the directory as a root of its own: its entries are examined
// beneath that, and so are entries of this directory. The "/." makes os.Root
// open the name itself with O_DIRECTORY, which a FIFO does not block.
func (b *osRoot) openDir(name string) (handle, os.FileInfo, error) {
	root, err := b.root.OpenRoot(name + "/.")
	if err != nil {
		return nil, nil, wrapOSRoot(err)
	}
	list, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, nil, wrapOSRoot(err)
	}
	h := &osDir{osFile{list}, root}
	info, err := list.Stat()
	if err != nil {
		h.Close()
		return nil, nil, wrapOSRoot(err)
	}
	return h, info, nil
}

// osFile is an open regular file. The *os.File, which could change modes, does
// not leave this package.
type osFile struct{ f *os.File }

func (h osFile) Read(p []byte) (int, error) {
	n, err := h.f.Read(p)
	return n, wrapOSRoot(err)
}

func (h osFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.f.ReadAt(p, off)
	return n, wrapOSRoot(err)
}

func (h osFile) Seek(offset int64, whence int) (int64, error) {
	pos, err := h.f.Seek(offset, whence)
	return pos, wrapOSRoot(err)
}

func (h osFile) Close() error { return wrapOSRoot(h.f.Close()) }

func (h osFile) readdir(int) ([]os.FileInfo, error) { return nil, errno{syscall.ENOTDIR} }

// osDir is an open directory.
type osDir struct {
	osFile
	root *os.Root
}

func (h *osDir) Read([]byte) (int, error)          { return 0, errno{syscall.EISDIR} }
func (h *osDir) ReadAt([]byte, int64) (int, error) { return 0, errno{syscall.EISDIR} }
func (h *osDir) Seek(int64, int) (int64, error)    { return 0, errno{syscall.EISDIR} }

func (h *osDir) Close() error {
	h.root.Close()
	return h.osFile.Close()
}

func (h *osDir) readdir(n int) ([]os.FileInfo, error) {
	names, err := h.f.Readdirnames(n)
	list := make([]os.FileInfo, len(names))
	for i, name := range names {
		info, err := h.root.Lstat(name)
		if err != nil {
			list[i] = &broken{name: name, err: wrapOSRoot(err)}
			continue
		}
		list[i] = withAttrs(info, name)
	}
	if err == io.EOF {
		return list, err
	}
	return list, wrapOSRoot(err)
}

// base returns the last component of a name.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
