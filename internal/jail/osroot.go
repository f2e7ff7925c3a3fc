package jail

import (
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
type osRoot struct{ root *os.Root }

func openOSRoot(dir string) (backend, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, wrapOSRoot(err)
	}
	return &osRoot{root}, nil
}

func (b *osRoot) Close() error { return b.root.Close() }

func (b *osRoot) stat(name string, follow bool) (os.FileInfo, error) {
	info, err := b.look(name, follow)
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

func (b *osRoot) readlink(name string) (string, error) {
	text, err := b.root.Readlink(name)
	return text, wrapOSRoot(err)
}

// open looks before it opens, because os.Root follows a link in the last place
// even under O_NOFOLLOW, and because it opens differently what is a directory.
// What was opened must be what was seen.
func (b *osRoot) open(name string, follow bool) (handle, os.FileInfo, error) {
	for range maxTries {
		seen, err := b.look(name, follow)
		if err != nil {
			return nil, nil, err
		}
		h, info, err := b.openSeen(name, seen)
		if err != nil {
			return nil, nil, err
		}
		if os.SameFile(seen, info) {
			return h, withAttrs(info, base(name)), nil
		}
		h.Close()
	}
	return nil, nil, errno{syscall.ELOOP}
}

func (b *osRoot) openSeen(name string, seen os.FileInfo) (handle, os.FileInfo, error) {
	switch seen.Mode().Type() {
	case 0:
		return b.openFile(name)
	case fs.ModeDir:
		return b.openDir(name)
	case fs.ModeSymlink:
		return nil, nil, errno{syscall.ELOOP}
	}
	return nil, nil, errno{syscall.EINVAL}
}

func (b *osRoot) openFile(name string) (handle, os.FileInfo, error) {
	f, err := b.root.OpenFile(name, osRootFlags, 0)
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
