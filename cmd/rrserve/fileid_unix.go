//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// fileID is the device and inode of an open file, as systemd writes them into
// JOURNAL_STREAM; "" if they cannot be had.
func fileID(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
