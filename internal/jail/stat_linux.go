package jail

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// osRootBtimes says that os.Root tells times of creation; they are not in Stat_t
// here.
const osRootBtimes = false

// withAttrs gives the os.FileInfo of os.Root the methods of info.
func withAttrs(fi os.FileInfo, name string) os.FileInfo {
	st := fi.Sys().(*syscall.Stat_t)
	rdev := uint64(st.Rdev)
	return &info{
		name:  name,
		size:  st.Size,
		msec:  int64(st.Mtim.Sec),
		mnsec: uint32(st.Mtim.Nsec),
		asec:  int64(st.Atim.Sec),
		ansec: uint32(st.Atim.Nsec),
		cnsec: st.Ctim.Nano(),
		mode:  st.Mode,
		uid:   st.Uid,
		gid:   st.Gid,
		major: unix.Major(rdev),
		minor: unix.Minor(rdev),
		dev:   uint64(st.Dev),
		ino:   st.Ino,
		nlink: uint64(st.Nlink),
	}
}
