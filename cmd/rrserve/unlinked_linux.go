package main

import (
	"io/fs"
	"syscall"
)

// unlinked reports whether an open file has no name any more.
func unlinked(info fs.FileInfo) bool { return info.Sys().(*syscall.Stat_t).Nlink == 0 }
