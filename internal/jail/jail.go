// Package jail opens the files of one directory tree and of nothing else.
//
// [Open] pins a directory as a handle and gives a [Root], an [afero.Fs] whose
// names are all resolved by the kernel beneath that handle. What leads out of
// the directory, be it a symbolic link, "..", a magic link of /proc or a rename
// that happens meanwhile, is an error (EXDEV or ELOOP) and not a file. A Root
// cannot write: its mutating methods have no code, and the open flags are
// constants.
//
// A link whose text is an absolute path below the directory stays inside, but
// the kernel follows no absolute link beneath a handle. Such a name is taken
// apart in links.go, each component being looked at beneath the handle, and the
// name without links that comes out is opened like any other, under
// RESOLVE_NO_SYMLINKS.
//
// There are two backends with the same behaviour. [Openat2] asks the kernel
// to resolve a whole name at once:
//
//	openat2(root, name, O_RDONLY|O_NONBLOCK|O_NOCTTY, RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS)
//	statx(fd, "", AT_EMPTY_PATH)           is it a regular file or a directory?
//	getdents64(fd), statx(fd, entry, AT_SYMLINK_NOFOLLOW)
//
// and for the attributes of an object of any type
//
//	openat2(root, its directory, O_PATH, ...)
//	listxattrat(fd, entry, AT_SYMLINK_NOFOLLOW), getxattrat(fd, entry, ...)
//
// [OSRoot] walks component by component with [os.Root], for Linux before 5.6,
// container sandboxes that deny openat2, and other systems.
//
// What remains: a FIFO or device that takes the place of a regular file between
// listing and opening is opened before it is refused. Opening never blocks, but
// it can wake a writer that waits for the FIFO. As opening never blocks, a file
// on which another process holds a write lease (fcntl(2), F_SETLEASE) fails with
// EAGAIN until that process has given the lease up.
package jail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/afero"
)

// A Backend is a way to resolve names beneath a directory.
type Backend uint8

const (
	// Best takes Openat2 where the kernel has it and lets it be used, else
	// OSRoot.
	Best Backend = iota
	// Openat2 resolves names with openat2(2), Linux 5.6.
	Openat2
	// OSRoot resolves names with os.Root. Links are resolved in user space,
	// each step relative to a handle.
	OSRoot
)

// String returns the name of the backend for a log.
func (b Backend) String() string {
	switch b {
	case Openat2:
		return "openat2"
	case OSRoot:
		return "os.Root"
	}
	return "best"
}

// backend resolves names relative to the pinned directory. A name has no
// leading slash; the directory itself is ".". Errors are errno where the cause
// has an error number.
type backend interface {
	// open opens a regular file or a directory and describes it as opened. The
	// flag is made of NoFollow and NoAtime.
	open(name string, flag int) (handle, os.FileInfo, error)
	stat(name string, follow bool) (os.FileInfo, error)
	readlink(name string) (string, error)
	// below pins the directory name, of which path and alias are absolute paths.
	below(name, path, alias string) (backend, error)
	Close() error
}

// Root is a read-only tree that ends at one directory. All methods are safe for
// concurrent use. It implements [afero.Fs], [afero.Lstater] and
// [afero.LinkReader].
//
// Names are slash-separated and relative to the directory, with or without a
// leading slash; "" is refused.
type Root struct {
	readOnly
	backend backend
	kind    Backend
	lastDir lastDir // of openXattrs
}

// Open pins the directory dir with the best backend there is. Symbolic links in
// dir are followed, once: the Root stays with the directory that dir named at
// that time, whatever happens to the name.
func Open(dir string) (*Root, error) { return OpenWith(dir, Best) }

// OpenWith is Open with a given backend. It fails with ENOSYS where Openat2 was
// asked for and cannot be had.
func OpenWith(dir string, kind Backend) (*Root, error) {
	if kind != OSRoot {
		b, err := openBeneath(dir)
		if err == nil {
			return &Root{backend: b, kind: Openat2}, nil
		}
		if kind == Openat2 || !errors.Is(err, syscall.ENOSYS) {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
		}
	}
	b, err := openOSRoot(dir)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Root{backend: b, kind: OSRoot}, nil
}

// OpenBelow pins the directory name, which is found beneath the directory dir as a
// Root finds its names: whatever lies on the way, it does not lead out of dir. To
// links in the tree with an absolute path, alias names the tree too: it is a copy of
// what lies there.
func OpenBelow(dir, name, alias string, kind Backend) (*Root, error) {
	parent, err := OpenWith(dir, kind)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	path := filepath.Join(dir, name)
	b, err := parent.backend.below(relative(name), path, alias)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Root{backend: b, kind: parent.kind}, nil
}

// Backend returns the backend in use, Openat2 or OSRoot.
func (r *Root) Backend() Backend { return r.kind }

// Btimes reports whether times of creation are told on this system, as far as
// the file system keeps them.
func (r *Root) Btimes() bool { return r.kind == Openat2 || osRootBtimes }

// Close releases the directory. Files that are open stay open.
func (r *Root) Close() error {
	r.lastDir.close()
	return r.backend.Close()
}

// Name returns "jail", the name of the kind of file system.
func (r *Root) Name() string { return "jail" }

// Open opens the regular file or directory name. A symbolic link is followed.
func (r *Root) Open(name string) (afero.File, error) { return r.OpenFile(name, 0, 0) }

// openMask are the flags of OpenFile.
const openMask = NoFollow | NoAtime | Xattrs

// OpenFile opens the regular file or directory name for reading, whatever its
// size, without blocking. The flag is made of [NoFollow], [NoAtime] and
// [Xattrs]; the mode is not used. Without Xattrs, anything but a regular file or
// directory is refused with EINVAL, a symbolic link under NoFollow with ELOOP.
func (r *Root) OpenFile(name string, flag int, _ os.FileMode) (afero.File, error) {
	switch {
	case flag&^openMask != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errReadOnly}
	case flag&Xattrs != 0:
		return r.openXattrs(name, flag&NoFollow == 0)
	}
	h, info, err := r.backend.open(relative(name), flag)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{handle: h, name: name, info: info}, nil
}

// Stat describes the object name, following a symbolic link.
func (r *Root) Stat(name string) (os.FileInfo, error) {
	info, err := r.backend.stat(relative(name), true)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info, nil
}

// LstatIfPossible describes the object name without following a symbolic link
// in its last place. It is always possible.
func (r *Root) LstatIfPossible(name string) (os.FileInfo, bool, error) {
	info, err := r.backend.stat(relative(name), false)
	if err != nil {
		return nil, true, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return info, true, nil
}

// ReadlinkIfPossible returns the text of the symbolic link name, EINVAL if it
// is something else.
func (r *Root) ReadlinkIfPossible(name string) (string, error) {
	text, err := r.backend.readlink(relative(name))
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return text, nil
}

// relative turns a name into what a backend takes. The empty name stays empty
// and names nothing.
func relative(name string) string {
	rel := name
	for rel != "" && os.IsPathSeparator(rel[0]) {
		rel = rel[1:]
	}
	if rel == "" && name != "" {
		return "."
	}
	return rel
}
