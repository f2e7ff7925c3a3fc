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
