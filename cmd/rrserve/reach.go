package main

import (
	"cmp"
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

// errOtherServer is a host key that is none of the server's own.
var errOtherServer = errors.New("another server listens there")

// dialServer connects to the running server and logs in as config says, which
// lacks the host key: it must be one of known, unless that is empty. Everything
// up to there takes at most answerTimeout.
func dialServer(ctx context.Context, address string, config *ssh.ClientConfig, known []hostKeyFile) (*ssh.Client, net.Conn, string, error) {
	d := net.Dialer{Timeout: answerTimeout}
	nc, err := d.DialContext(ctx, "tcp", address)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = errors.New("nothing listens there: the server is stopped (rrserve with the same flags, or systemctl start rrserve, starts it), or listens on another address (--listen, --address)")
	}
	if err != nil {
		return nil, nil, "", err
	}
	nc.SetDeadline(time.Now().Add(answerTimeout))
	proved := ""
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		fingerprint := ssh.FingerprintSHA256(key)
		if len(known) > 0 && !slices.ContainsFunc(known, func(k hostKeyFile) bool { return k.Fingerprint() == fingerprint }) {
			return fmt.Errorf("%w: its host key is %s, and that of %s is %s", errOtherServer, fingerprint, known[0].path, known[0].Fingerprint())
		}
		proved = fingerprint
		return nil
	}
	conn, channels, requests, err := ssh.NewClientConn(nc, address, config)
	if err != nil {
		nc.Close()
		return nil, nil, proved, cmp.Or(otherServer(err), err)
	}
	nc.SetDeadline(time.Time{})
	return ssh.NewClient(conn, channels, requests), nc, proved, nil
}

// otherServer is what was said of the host key, without what was said around it.
func otherServer(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		if errors.Is(err, errOtherServer) && errors.Unwrap(err) == errOtherServer {
			return err
		}
	}
	return nil
}
