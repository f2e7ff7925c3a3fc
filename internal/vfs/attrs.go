package vfs

import "io/fs"

// Attrs is what a base's fs.FileInfo has beyond that interface when it knows
// the attributes of Unix. It is in builtin types, so that a base can have it
// without importing this package.
type Attrs interface {
	fs.FileInfo
	UnixMode() uint32                // as Info.Mode
	Owner() (uid, gid uint32)        // as Info.UID, Info.GID
	ID() (dev, ino, nlink uint64)    // as Info.Dev, Info.Ino, Info.Nlink
	Rdev() (major, minor uint32)     // as Info.RdevMajor, Info.RdevMinor
	Mtime() (sec int64, nsec uint32) // as Info.Mtime
	Atime() (sec int64, nsec uint32) // as Info.Atime
	Btime() (sec int64)              // as Info.Btime
	Ctime() (nsec int64)             // as Info.Ctime
}

// set fills i with what fi tells; the name comes from the caller.
func (i *Info) set(name string, fi fs.FileInfo) {
	*i = Info{Name: name, Size: fi.Size()}
	a, ok := fi.(Attrs)
	if !ok {
		t := fi.ModTime()
		i.Mode = unixMode(fi.Mode())
		i.Mtime = Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
		i.Atime = i.Mtime
		i.Nlink = 1
		return
	}
	i.Mode = a.UnixMode()
	i.UID, i.GID = a.Owner()
	i.Dev, i.Ino, i.Nlink = a.ID()
	i.RdevMajor, i.RdevMinor = a.Rdev()
	i.Mtime.Sec, i.Mtime.Nsec = a.Mtime()
	i.Atime.Sec, i.Atime.Nsec = a.Atime()
	i.Btime = a.Btime()
	i.Ctime = a.Ctime()
}

// unixMode translates a mode from the notation of Go.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, b := range []struct {
		from fs.FileMode
		to   uint32
	}{
		{fs.ModeSetuid, 0o4000},
		{fs.ModeSetgid, 0o2000},
		{fs.ModeSticky, 0o1000},
	} {
		if m&b.from != 0 {
			mode |= b.to
		}
	}
	switch m.Type() {
	case 0:
		return mode | ModeRegular
	case fs.ModeDir:
		return mode | ModeDir
	case fs.ModeSymlink:
		return mode | ModeSymlink
	case fs.ModeSocket:
		return mode | ModeSocket
	case fs.ModeNamedPipe:
		return mode | ModeFIFO
	case fs.ModeDevice:
		return mode | ModeBlock
	case fs.ModeDevice | fs.ModeCharDevice:
		return mode | ModeChar
	}
	return mode // of no known type, and so never opened
}
