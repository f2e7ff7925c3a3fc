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

// whenUnread calls f when nobody will read any more what is written to a pipe: a
// server that is busy would notice with its next write. Of a socket, of which one
// side may be closed alone, it is not told.
func whenUnread(out *os.File, f func()) {
	info, err := out.Stat()
	if err != nil || info.Mode().Type() != os.ModeNamedPipe {
		return
	}
	raw, err := out.SyscallConn()
	if err != nil {
		return
	}
	go func() {
		woken := false
		err := raw.Read(func(uintptr) bool { // a pipe's end to write to can be "read" when it has failed
			defer func() { woken = true }()
			return woken
		})
		if err == nil {
			f()
		}
	}()
}
