//go:build darwin || freebsd || netbsd

package jail

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// osRootBtimes says that os.Root tells times of creation.
const osRootBtimes = true

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
		bsec:  btime(int64(st.Birthtimespec.Sec)),
		cnsec: st.Ctimespec.Nano(),
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

// btime turns what stands for no time of creation into 0.
func btime(sec int64) int64 {
	if sec == -1 {
		return 0
	}
	return sec
}
