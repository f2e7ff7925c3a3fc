package jail

import (
	"io/fs"
	"time"
)

// File type and special bits of a mode, the same on all Unix systems.
const (
	typeMask   = 0o170000
	typeSocket = 0o140000
	typeLink   = 0o120000
	typeFile   = 0o100000
	typeBlock  = 0o060000
	typeDir    = 0o040000
	typeChar   = 0o020000
	typeFIFO   = 0o010000
	setUID     = 0o4000
	setGID     = 0o2000
	sticky     = 0o1000
)

// info is a fs.FileInfo that keeps the attributes of Unix as the kernel gave
// them. Its exported methods beyond those of fs.FileInfo are the interface
// vfs.Attrs, in builtin types so that neither package needs the other.
type info struct {
	name         string
	size         int64
	msec, asec   int64
	bsec         int64
	cnsec        int64
	mnsec, ansec uint32
	mode         uint32
	uid, gid     uint32
	major, minor uint32
	dev, ino     uint64
	nlink        uint64
}

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return i.size }
func (i *info) IsDir() bool        { return i.mode&typeMask == typeDir }
func (i *info) ModTime() time.Time { return time.Unix(i.msec, int64(i.mnsec)) }
func (i *info) Sys() any           { return nil }

// Mode returns the mode in the notation of fs.FileMode.
func (i *info) Mode() fs.FileMode {
	m := fs.FileMode(i.mode & 0o777)
	switch i.mode & typeMask {
	case typeSocket:
		m |= fs.ModeSocket
	case typeLink:
		m |= fs.ModeSymlink
	case typeBlock:
		m |= fs.ModeDevice
	case typeDir:
		m |= fs.ModeDir
	case typeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case typeFIFO:
		m |= fs.ModeNamedPipe
	}
	if i.mode&setUID != 0 {
		m |= fs.ModeSetuid
	}
	if i.mode&setGID != 0 {
		m |= fs.ModeSetgid
	}
	if i.mode&sticky != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// UnixMode returns the type and the permission bits, as st_mode.
func (i *info) UnixMode() uint32 { return i.mode }

// Owner returns the numbers of user and group.
func (i *info) Owner() (uid, gid uint32) { return i.uid, i.gid }

// ID returns the device, the inode number and the number of names it has.
func (i *info) ID() (dev, ino, nlink uint64) { return i.dev, i.ino, i.nlink }

// Rdev returns the numbers of a device node.
func (i *info) Rdev() (major, minor uint32) { return i.major, i.minor }

// Mtime returns the time of the last change of the content, in seconds since
// 1970 and nanoseconds.
func (i *info) Mtime() (sec int64, nsec uint32) { return i.msec, i.mnsec }

// Atime returns the time of the last reading, as Mtime.
func (i *info) Atime() (sec int64, nsec uint32) { return i.asec, i.ansec }

// Btime returns the time of the creation in seconds since 1970, 0 where the file
// system does not keep it.
func (i *info) Btime() (sec int64) { return i.bsec }

// Ctime returns the time of the last change of content or attributes, in
// nanoseconds since 1970.
func (i *info) Ctime() (nsec int64) { return i.cnsec }

// broken is a directory entry that could not be examined.
type broken struct {
	name string
	err  error
}

func (b *broken) Name() string       { return b.name }
func (b *broken) Size() int64        { return 0 }
func (b *broken) Mode() fs.FileMode  { return fs.ModeIrregular }
func (b *broken) ModTime() time.Time { return time.Time{} }
func (b *broken) IsDir() bool        { return false }
func (b *broken) Sys() any           { return nil }

// StatErr returns why the entry could not be examined.
func (b *broken) StatErr() error { return b.err }
