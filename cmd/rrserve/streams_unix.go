//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// standardStreams opens the standard streams so that waiting for them can be
// broken off, which also makes the Go runtime set up its poller: it cannot once
// the process is confined. A client that is gone is an error of the write, not
// the end of the process.
func standardStreams() (in, out, errOut *os.File) {
	signal.Ignore(syscall.SIGPIPE)
	open := func(fd int, name string) *os.File {
		_ = syscall.SetNonblock(fd, true) // without, it is as it was
		return os.NewFile(uintptr(fd), name)
	}
	return open(0, "standard input"), open(1, "standard output"), open(2, "standard error")
}
