package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// answerTimeout bounds how long the running server may take to answer, to prove
// its host key, and to let a client in.
const answerTimeout = 5 * time.Second

// reachable is the address at which what listens on address is reached from this
// machine.
func reachable(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return "", usagef("%q is not an address; allowed are HOST:PORT and :PORT", address)
	case port == "0":
		return "", usagef("port 0 is any: say with --address HOST:PORT where the server listens")
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// otherServerError is a host key that is none of the server's own.
type otherServerError struct {
	proved string // fingerprint
	own    hostKeyFile
}

func (e *otherServerError) Error() string {
	return fmt.Sprintf("another server listens there: its host key is %s, and that of %s is %s", e.proved, e.own.path, e.own.Fingerprint())
}

// reached is the running server.
type reached struct {
	*ssh.Client          // nil if there was no login
	conn        net.Conn // below it
	hostKey     string   // fingerprint of the one that it proved to have, "" for none
}

// dialServer connects to the running server and logs in as config says, which
// lacks the host key: it must be one of known, unless that is empty. Everything
// up to there takes at most answerTimeout.
func dialServer(ctx context.Context, address string, config *ssh.ClientConfig, known []hostKeyFile) (s reached, err error) {
	d := net.Dialer{Timeout: answerTimeout}
	s.conn, err = d.DialContext(ctx, "tcp", address)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = errors.New("nothing listens there: the server is stopped (rrserve with the same flags, or systemctl start rrserve, starts it), or listens on another address (--listen, --address)")
	}
	if err != nil {
		return s, err
	}
	s.conn.SetDeadline(time.Now().Add(answerTimeout))
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		proved := ssh.FingerprintSHA256(key)
		if len(known) > 0 && !slices.ContainsFunc(known, func(k hostKeyFile) bool { return k.Fingerprint() == proved }) {
			return &otherServerError{proved, known[0]}
		}
		s.hostKey = proved
		return nil
	}
	conn, channels, requests, err := ssh.NewClientConn(s.conn, address, config)
	if err != nil {
		s.conn.Close()
		if other, ok := errors.AsType[*otherServerError](err); ok {
			err = other // without what was said around it
		}
		return s, err
	}
	s.conn.SetDeadline(time.Time{})
	s.Client = ssh.NewClient(conn, channels, requests)
	return s, nil
}
