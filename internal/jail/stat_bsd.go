//go:build darwin || freebsd || netbsd

package jail

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// withAttrs gives the os.FileInfo of os.Root the methods of info.
func withAttrs(fi os.FileInfo, name string) os.FileInfo {
	st := fi.Sys().(*syscall.Stat_t)
	rdev := uint64(st.Rdev)
	return &info{
		name:  name,
		size:  st.Size,
		msec:  int64(st.Mtimespec.Sec),
		mnsec: uint32(st.Mtimespec.Nsec),
		asec:  int64(st.Atimespec.Sec),
		ansec: uint32(st.Atimespec.Nsec),
		mode:  uint32(st.Mode),
		uid:   st.Uid,
		gid:   st.Gid,
		major: unix.Major(rdev),
		minor: unix.Minor(rdev),
		dev:   uint64(st.Dev),
		ino:   uint64(st.Ino),
		nlink: uint64(st.Nlink),
	}
}
