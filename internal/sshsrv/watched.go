package sshsrv

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// bufioSize is the size of the buffer through which x/crypto writes packets.
const bufioSize = 4096

// maxFirstLine is the longest line with which a client may name itself, in
// bytes with its end (RFC 4253 section 4.2).
const maxFirstLine = 255

// watchedConn is the TCP connection below x/crypto. It knows when something
// arrived and how much, it holds the client to its budget, it learns who the
// client is before x/crypto makes its offer, and it joins the two writes that
// make up a packet.
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

	// ackNow is Config.AckNow, until the login is over.
	ackNow func(net.Conn)

	sent []byte // our first line, until x/crypto writes it
	line []byte // the client's first line, until x/crypto has read it
	rest []byte // what came behind the PROXY header, until it is read

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
	if len(c.line) > 0 {
		n := copy(p, c.line)
		c.line = c.line[n:]
		return n, nil
	}
	n, err := c.receive(p)
	if n > 0 && c.ackNow != nil && !c.encrypted.Load() {
		c.ackNow(c.Conn)
	}
	return n, err
}

// introduced ends the state before the client is known. What came behind the
// header is its first word, and has been paid for.
func (c *watchedConn) introduced(rest []byte) {
	c.rest = bytes.Clone(rest)
	c.received.Store(int64(len(rest)))
}

// receive reads from the client, within its budget.
func (c *watchedConn) receive(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
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
	if c.sent != nil {
		sent := c.sent
		c.sent = nil
		if bytes.Equal(p, sent) {
			return len(p), nil
		}
	}
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

// greet exchanges the lines with which both sides name themselves, and returns
// the client's. Neither side may wait for the other's, so ours goes out first.
// x/crypto then does the same, and finds the client's line unread and no need to
// send ours; an error it meets again.
func (c *watchedConn) greet(ours string) (theirs string) {
	line := []byte(ours + "\r\n")
	if _, err := c.Conn.Write(line); err != nil {
		return ""
	}
	c.sent = line
	var b [1]byte // what follows the line is x/crypto's
	for len(c.line) < maxFirstLine && b[0] != '\n' {
		n, err := c.receive(b[:])
		c.line = append(c.line, b[:n]...)
		if err != nil {
			break
		}
	}
	return strings.TrimRight(string(c.line), "\r\n")
}
