package jail

import (
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"
)

// Xattrs is the flag of [Root.OpenFile] for the extended attributes of an
// object of whatever type, a symbolic link and a device among them. The object
// itself is not opened: no FIFO wakes, no right to read is needed. What is
// returned can be closed, described by Stat, and has two methods beside those of
// an afero.File:
//
//	ListXattr() ([]string, error)         // all names, in no order
//	GetXattr(name string) ([]byte, error) // ENODATA where there is none
//
// ENOTSUP says that the object's file system has no attributes. Under NoFollow
// only the object's directory is looked up by OpenFile, and kept for the next
// object in it; whether the object exists is found out by the methods.
const Xattrs = unix.O_PATH

// Answers of the kernel are read into a small buffer first, because it clears
// as much memory as it is offered. What is larger than the second one cannot
// be (XATTR_SIZE_MAX and XATTR_LIST_MAX, linux/limits.h).
const (
	smallXattr = 512
	maxXattr   = 64 << 10
)

var (
	smallXattrs = sync.Pool{New: func() any { b := make([]byte, smallXattr); return &b }}
	largeXattrs = sync.Pool{New: func() any { b := make([]byte, maxXattr); return &b }}
)

// pathOpener is a backend that makes O_PATH handles of what names lead to.
type pathOpener interface {
	openPath(name string) (fd int, err error)
}

func (b *beneath) openPath(name string) (int, error) { return b.resolve(name, pathFlags) }

// openPath opens what name leads to. O_PATH makes os.Root open a link in the
// last place itself, so that what it leads to is found out before.
func (b *osRoot) openPath(name string) (int, error) {
	if name == "" {
		return -1, errno{unix.ENOENT}
	}
	name, err := b.paths.plain(name, true, b.lookPlain)
	if err != nil {
		return -1, err
	}
	fd, err := b.openLast(name)
	if err != nil {
		return -1, err
	}
	if i, err := statFD(fd, name); err != nil || i.mode&typeMask == typeLink {
		unix.Close(fd)
		return -1, errno{unix.ELOOP} // another object has taken its place
	}
	return fd, nil
}

// openLast opens name, in whose last place no link is followed.
func (b *osRoot) openLast(name string) (fd int, err error) {
	f, err := b.root.OpenFile(name, pathFlags|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, wrapOSRoot(err)
	}
	defer f.Close()
	err = uninterrupted(func() error {
		fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	return fd, wrap(err)
}

// sharedDir is an O_PATH handle that is closed when nobody holds it any more:
// of a directory whose entries' attributes are read, or of one object.
type sharedDir struct {
	descriptor
	holders atomic.Int32
}

func newSharedDir(fd int) *sharedDir {
	d := &sharedDir{descriptor: descriptor{fd: fd}}
	d.holders.Store(1)
	return d
}

func (d *sharedDir) hold() *sharedDir { d.holders.Add(1); return d }

func (d *sharedDir) release() error {
	if d.holders.Add(-1) > 0 {
		return nil
	}
	return d.Close()
}

// lastDir keeps the directory whose entries' attributes were read last, since
// those of a whole directory are asked for in turn.
type lastDir struct {
	mu   sync.Mutex
	name string
	dir  *sharedDir // nil for none
}

// get returns the directory of that name, opened by open if it is another one.
func (l *lastDir) get(name string, open func(string) (int, error)) (*sharedDir, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir != nil && l.name == name {
		return l.dir.hold(), nil
	}
	fd, err := open(name)
	if err != nil {
		return nil, err
	}
	if l.dir != nil {
		l.dir.release()
	}
	l.name, l.dir = name, newSharedDir(fd)
	return l.dir.hold(), nil
}

func (l *lastDir) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir != nil {
		l.dir.release()
		l.dir = nil
	}
}

// openXattrs prepares for reading the attributes of an object.
func (r *Root) openXattrs(name string, follow bool) (afero.File, error) {
	open := r.backend.(pathOpener).openPath
	rel := relative(name)
	dir, entry := splitLast(rel)
	f := &xattrFile{name: name}
	var err error
	if follow || entry == "" {
		var fd int
		if fd, err = open(rel); err == nil {
			f.at = newSharedDir(fd)
		}
	} else {
		f.entry = entry
		f.at, err = r.lastDir.get(dir, open)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f, nil
}

// splitLast splits a name into a directory and an entry of it. What is no
// entry, such as "..", is left whole, for it must be resolved beneath the root.
func splitLast(rel string) (dir, entry string) {
	i := strings.LastIndexByte(rel, '/')
	switch dir, entry = ".", rel[i+1:]; {
	case entry == "" || entry == "." || entry == "..":
		return rel, ""
	case i >= 0:
		dir = rel[:i]
	}
	return dir, entry
}

// xattrFile is an object whose attributes can be read: an entry of a directory,
// or if entry is "" what the handle is of.
type xattrFile struct {
	readOnlyFile
	name   string
	at     *sharedDir
	entry  string
	closed atomic.Bool
}

var errPathOnly error = errno{unix.EBADF}

func (f *xattrFile) Name() string                       { return f.name }
func (f *xattrFile) Read([]byte) (int, error)           { return 0, errPathOnly }
func (f *xattrFile) ReadAt([]byte, int64) (int, error)  { return 0, errPathOnly }
func (f *xattrFile) Seek(int64, int) (int64, error)     { return 0, errPathOnly }
func (f *xattrFile) Readdir(int) ([]os.FileInfo, error) { return nil, errPathOnly }
func (f *xattrFile) Readdirnames(int) ([]string, error) { return nil, errPathOnly }

// Close releases the handle.
func (f *xattrFile) Close() error {
	if f.closed.Swap(true) {
		return os.ErrClosed
	}
	return f.at.release()
}

func (f *xattrFile) use(call func(fd int) error) error {
	if f.closed.Load() {
		return os.ErrClosed
	}
	return f.at.use(call)
}

// Stat describes the object.
func (f *xattrFile) Stat() (os.FileInfo, error) {
	i := &info{name: base(f.name)}
	err := f.use(func(fd int) error {
		return stat(fd, f.entry, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, i)
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// ListXattr returns the names of the object's attributes.
func (f *xattrFile) ListXattr() ([]string, error) {
	list, err := f.answer(func(fd int, buf []byte) (int, error) { return listxattr(fd, f.entry, buf) })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

// GetXattr returns the value of an attribute.
func (f *xattrFile) GetXattr(name string) ([]byte, error) {
	return f.answer(func(fd int, buf []byte) (int, error) { return getxattr(fd, f.entry, name, buf) })
}

// answer returns what ask writes into a buffer that is large enough.
func (f *xattrFile) answer(ask func(fd int, buf []byte) (int, error)) ([]byte, error) {
	out, err := f.into(&smallXattrs, ask)
	if err == error(errno{unix.ERANGE}) {
		out, err = f.into(&largeXattrs, ask)
	}
	return out, err
}

func (f *xattrFile) into(buffers *sync.Pool, ask func(fd int, buf []byte) (int, error)) (out []byte, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	err = f.use(func(fd int) error {
		n, err := ask(fd, *buf)
		if err == nil {
			out = append(make([]byte, 0, n), (*buf)[:n]...)
		}
		return err
	})
	return out, err
}
