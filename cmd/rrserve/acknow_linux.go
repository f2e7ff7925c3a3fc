package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// ackNow has what arrived on a TCP connection acknowledged at once. That is not
// for good: the kernel goes back to waiting by itself, tcp(7).
func ackNow(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return // the next reading will say so
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}
