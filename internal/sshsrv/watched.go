package sshsrv

import (
	"net"
	"sync/atomic"
)

// bufioSize is the size of the buffer through which x/crypto writes packets.
const bufioSize = 4096

// watchedConn is the TCP connection below x/crypto. It counts reads, so that
// silence can be told, and it joins the two writes that make up a packet.
//
// x/crypto writes a packet into a bufio.Writer of 4096 bytes and flushes it, so
// a large packet reaches the connection as one write of exactly 4096 bytes and
// one of the rest: two system calls, and two TCP segments that wake the client
// twice. Keeping the first until the second comes saves a fifth of the server's
// CPU time in a bulk transfer.
//
// A write of 4096 bytes is never a packet's last once encryption is on: what is
// encrypted is a multiple of 8 bytes long, in front of it are 4 bytes of length
// and behind it a tag of 16, 32 or 64, so that no packet's length on the wire is
// a multiple of 8 (RFC 4253 section 6 with the aes-gcm, chacha20-poly1305 and
// encrypt-then-MAC modes of OpenSSH's PROTOCOL, which are all that is offered).
type watchedConn struct {
	net.Conn
	reads     atomic.Uint64
	encrypted atomic.Bool // set when the login is over

	// The following belong to the writer; x/crypto has one at a time.
	held    [bufioSize]byte
	holding bool
	vector  [2][]byte
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.reads.Add(1)
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if c.holding {
		return c.writeHeld(p)
	}
	if len(p) == bufioSize && c.encrypted.Load() {
		copy(c.held[:], p)
		c.holding = true
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// writeHeld writes what was kept and p behind it (writev on TCP).
func (c *watchedConn) writeHeld(p []byte) (int, error) {
	c.holding = false
	c.vector = [2][]byte{c.held[:], p}
	buffers := net.Buffers(c.vector[:])
	n, err := buffers.WriteTo(c.Conn)
	return max(0, int(n)-bufioSize), err
}
