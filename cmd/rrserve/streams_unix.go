//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// standardStreams opens the standard streams so that waiting for them can be
// broken off, which also makes the Go runtime set up its poller: it cannot once
// the process is confined. They are copies, since the runtime may know the originals
// already, and a write to these that fails for want of a client ends the process.
func standardStreams() (in, out, errOut *os.File, err error) {
	var files [3]*os.File
	for i, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		fd, err := syscall.Dup(i)
		if err == nil {
			err = syscall.SetNonblock(fd, true)
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		files[i] = os.NewFile(uintptr(fd), f.Name())
	}
	return files[0], files[1], files[2], nil
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
