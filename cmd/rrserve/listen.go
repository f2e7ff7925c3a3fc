package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
)

// firstPassed is the descriptor of the first socket that a service manager
// hands over, sd_listen_fds(3).
const firstPassed = 3

// listen opens the socket, or takes the one that systemd has opened: a process
// that opens none itself can live in an empty network namespace.
func listen(ctx context.Context, o *options) (net.Listener, error) {
	ln, err := passedSocket(os.Getenv, os.Getpid(), firstPassed)
	switch {
	case err != nil:
		return nil, configError{err}
	case ln != nil && o.listenGiven:
		ln.Close()
		return nil, configf("--listen %s: systemd has opened a socket, %s; the address is set in rrserve.socket", o.listen, ln.Addr())
	case ln != nil:
		return ln, nil
	}
	ln, err = new(net.ListenConfig).Listen(ctx, "tcp", o.listen) // with TCP keepalive
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", o.listen, err)
	}
	return ln, nil
}

// passedSocket returns the listener that the environment says is open as the
// descriptor fd, or nil where it speaks of none, or to another process.
func passedSocket(getenv func(string) string, pid int, fd uintptr) (net.Listener, error) {
	count := getenv("LISTEN_FDS")
	if count == "" || getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	if count != "1" {
		return nil, fmt.Errorf("LISTEN_FDS=%q: allowed is 1 socket; for several addresses, start several servers", count)
	}
	f := os.NewFile(fd, "LISTEN_FDS")
	defer f.Close() // the listener has a copy
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS=1, but descriptor %d is no listening socket: %w", fd, bare(err))
	}
	if _, ok := ln.(*net.TCPListener); !ok {
		ln.Close()
		return nil, fmt.Errorf("LISTEN_FDS=1, but the socket is of type %s; allowed is TCP", ln.Addr().Network())
	}
	return ln, nil
}
