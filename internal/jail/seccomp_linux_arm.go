package jail

import "golang.org/x/sys/unix"

// What calls of the filter are named on ARM of 32 bits. A kernel that knows the
// calls of the old ABI too has no filters (Linux, arch/arm/Kconfig).
//
// Not let through are the older calls with shorter sizes, offsets and inode
// numbers, and those that only ARM has (cacheflush, set_tls): Go makes neither.

var alwaysByWidth = []uint32{
	unix.SYS__LLSEEK, unix.SYS_FSTATAT64, unix.SYS_FSTAT64, unix.SYS_STATFS64, unix.SYS_FSTATFS64,
	unix.SYS_FUTEX_TIME64, // in place of futex, from Linux 5.1 on
}

// sysMmap counts the offset in pages. What the filter looks at is where mmap has it.
const sysMmap = unix.SYS_MMAP2

// sysFcntl is what the Go runtime calls, and what packages syscall and x/sys do.
var sysFcntl = []uint32{unix.SYS_FCNTL, unix.SYS_FCNTL64}
