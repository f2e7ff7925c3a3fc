package vfs

// File type bits of Info.Mode, as on Linux and on the rsync wire.
const (
	ModeType    = 0o170000 // S_IFMT
	ModeSocket  = 0o140000 // S_IFSOCK
	ModeSymlink = 0o120000 // S_IFLNK
	ModeRegular = 0o100000 // S_IFREG
	ModeBlock   = 0o060000 // S_IFBLK
	ModeDir     = 0o040000 // S_IFDIR
	ModeChar    = 0o020000 // S_IFCHR
	ModeFIFO    = 0o010000 // S_IFIFO
)

// Time is a point in time as the file system keeps it.
type Time struct {
	Sec  int64  // seconds since 1970-01-01 UTC, may be negative
	Nsec uint32 // 0..999999999
}

// Info describes one object of a tree.
type Info struct {
	Name  string // last component; "" for the root
	Mode  uint32 // type and 07777 permission bits, Linux values
	Size  int64  // bytes
	Mtime Time
	Atime Time
	Btime int64 // creation, seconds since 1970-01-01 UTC; 0 where the file system does not keep it
	Ctime int64 // last change of content or attributes, which nobody can choose, nanoseconds since 1970; 0 where it is not known
	UID   uint32
	GID   uint32
	Nlink uint64
	Dev   uint64 // device holding the object
	Ino   uint64
	// RdevMajor and RdevMinor are the numbers of a device node.
	RdevMajor, RdevMinor uint32
	// Err is set by ReadDir for an entry that could not be examined, an
	// *Error of "lstat"; only Name is valid then.
	Err error
}

// Type returns the type bits of the mode.
func (i *Info) Type() uint32 { return i.Mode & ModeType }

// IsDir reports whether i describes a directory.
func (i *Info) IsDir() bool { return i.Mode&ModeType == ModeDir }

// IsRegular reports whether i describes a regular file.
func (i *Info) IsRegular() bool { return i.Mode&ModeType == ModeRegular }

// SameFile reports whether i and o are the same object of the same type: what
// was listed is what was opened.
func (i *Info) SameFile(o *Info) bool {
	return i.Dev == o.Dev && i.Ino == o.Ino && i.Type() == o.Type()
}
