package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
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
	return listenTCP(ctx, "--listen", o.listen)
}

// listenTCP opens a socket, with TCP keepalive. The error is none of the
// configuration: the address may be free or there the next time.
func listenTCP(ctx context.Context, flag, address string) (net.Listener, error) {
	network := "tcp"
	if host, _, _ := net.SplitHostPort(address); host == "0.0.0.0" {
		network = "tcp4" // "tcp" would take IPv6 too
	}
	ln, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, listenError(flag, address, err)
	}
	return ln, nil
}

// listenError says what the system said, and what to do about it.
func listenError(flag, address string, err error) error {
	if e := syscall.Errno(0); errors.As(err, &e) {
		return fmt.Errorf("%s %s: %w%s", flag, address, e, listenHint(e))
	}
	return fmt.Errorf("%s: %w", flag, err)
}

// listenHint is what to do about an address that cannot be listened on.
func listenHint(err syscall.Errno) string {
	switch {
	case err == syscall.EADDRINUSE:
		return "; stop what listens there, or choose another port"
	case err.Is(fs.ErrPermission):
		return "; a port below 1024 takes root, the capability CAP_NET_BIND_SERVICE, or a socket from systemd"
	case err == syscall.EADDRNOTAVAIL:
		return "; no interface of this machine has that address now"
	case err == syscall.EINVAL:
		return "; a link-local address takes its interface, as in [fe80::1%eth0]:2222"
	}
	return ""
}

// checkAddress finds what is wrong with an address to listen on, whatever machine
// this is.
func checkAddress(flag, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("%s %q is not an address; allowed are HOST:PORT and :PORT", flag, address)
	}
	if host == "*" {
		return usagef("%s %q: %q is no host; :%s is every address", flag, address, host, port)
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return usagef("%s %q: port %q; allowed are 0 to 65535", flag, address, port)
	}
	return nil
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
