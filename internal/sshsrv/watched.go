package sshsrv

import (
	"net"
	"sync/atomic"
	"time"
)

// bufioSize is the size of the buffer through which x/crypto writes packets.
const bufioSize = 4096

// watchedConn is the TCP connection below x/crypto. It knows when something
// arrived and how much, it holds the client to its budget, and it joins the two
// writes that make up a packet.
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
	heard     atomic.Int64 // when something arrived last, or the connection did; in nanoseconds
	received  atomic.Int64 // bytes
	budget    budget
	flooded   atomic.Bool // the budget was used up
	encrypted atomic.Bool // set when the login is over

	// The following belong to the writer; x/crypto has one at a time.
	held    [bufioSize]byte
	holding bool
	vector  [2][]byte
}

func watch(nc net.Conn) *watchedConn {
	c := &watchedConn{Conn: nc}
	c.heard.Store(time.Now().UnixNano())
	c.budget.left.Store(loginBytes)
	return c
}

// loggedIn ends the state before login.
func (c *watchedConn) loggedIn() {
	c.budget.left.Store(maxCredit)
	c.encrypted.Store(true)
}

// silence is how long nothing has arrived.
func (c *watchedConn) silence(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, c.heard.Load()))
}

// begun is 1 if the client has come to its key exchange, else 0.
func (c *watchedConn) begun() int {
	if c.received.Load() > helloBytes {
		return 1
	}
	return 0
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
		c.received.Add(int64(n))
		if !c.budget.spend(n) {
			c.flooded.Store(true)
			return 0, errFlood
		}
	}
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.budget.earn(len(p) / outputPerByte)
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
