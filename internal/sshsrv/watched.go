package sshsrv

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
)

// bufioSize is the size of the buffer through which x/crypto writes packets.
const bufioSize = 4096

// maxFirstLine is the longest line with which a client may name itself, in
// bytes with its end (RFC 4253 section 4.2).
const maxFirstLine = 255

// watchedConn is the TCP connection below x/crypto. It counts reads, so that
// silence can be told, it learns who the client is before x/crypto makes its
// offer, and it joins the two writes that make up a packet.
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

	sent  []byte // our first line, until x/crypto writes it
	heard []byte // the client's first line, until x/crypto has read it

	// The following belong to the writer; x/crypto has one at a time.
	held    [bufioSize]byte
	holding bool
	vector  [2][]byte
}

func (c *watchedConn) Read(p []byte) (int, error) {
	if len(c.heard) > 0 {
		n := copy(p, c.heard)
		c.heard = c.heard[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.reads.Add(1)
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
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
	for len(c.heard) < maxFirstLine && b[0] != '\n' {
		n, err := c.Conn.Read(b[:])
		c.heard = append(c.heard, b[:n]...)
		if err != nil {
			break
		}
	}
	return strings.TrimRight(string(c.heard), "\r\n")
}
