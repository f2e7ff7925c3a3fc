//go:build amd64 || arm64 || loong64 || riscv64

package jail

import "golang.org/x/sys/unix"

// What calls of the filter are named where registers have 64 bits.

var alwaysByWidth = []uint32{
	unix.SYS_LSEEK, unix.SYS_NEWFSTATAT, unix.SYS_FSTAT, unix.SYS_STATFS, unix.SYS_FSTATFS,
}

const sysMmap = unix.SYS_MMAP

var sysFcntl = []uint32{unix.SYS_FCNTL}
