package main

import "os"

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
