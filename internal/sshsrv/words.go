package sshsrv

import (
	"fmt"
	"strings"
)

// Logins, and what ends without one, are logged in sshd's own sentences, since
// people and programs look for these. The facts follow as attributes, the address
// before anything that the peer chose.

// peer is where the client is.
func (c *conn) peer() string { return fmt.Sprintf("%s port %d", c.remote.Addr(), c.remote.Port()) }

// dropped is the sentence about a connection that was given up before login.
func (c *conn) dropped(number int, why string) string {
	return fmt.Sprintf("drop connection #%d from [%s]:%d on [%s]:%d %s",
		number, c.remote.Addr(), c.remote.Port(), c.local.Addr(), c.local.Port(), why)
}

// name is the user name last given.
func (l *login) name() string {
	if l.invalid {
		return "invalid user " + visible(l.user)
	}
	return visible(l.user)
}

// who is the client, as far as it said who it is.
func (l *login) who() string {
	switch {
	case l.invalid:
		return l.name() + " " + l.peer()
	case l.named:
		return "authenticating user " + l.name() + " " + l.peer()
	}
	return l.peer()
}

// visible writes what a peer chose as one word of printable ASCII, all else as
// \ooo. sshd lets blanks stand; here a name cannot pass for the words behind it.
func visible(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '\\' || c == '"' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
