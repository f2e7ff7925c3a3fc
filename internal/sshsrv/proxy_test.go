package sshsrv

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// proxyFrom is a policy that expects headers from a network.
func proxyFrom(t *testing.T, network string) func(*Config) {
	t.Helper()
	list, err := ParseAddressList(network)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.ProxyFrom = list }
}

// behind logs in with the key name through a proxy that sends the header.
func (s *testServer) behind(header, key string) (*ssh.Client, error) {
	s.t.Helper()
	signer, err := ssh.ParsePrivateKey(s.read(key))
	if err != nil {
		s.t.Fatal(err)
	}
	nc := s.silent()
	nc.SetDeadline(time.Now().Add(hang))
	io.WriteString(nc, header)
	conn, channels, requests, err := ssh.NewClientConn(nc, "", &ssh.ClientConfig{
		User: "u", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(conn, channels, requests), nil
}

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

// Everything looks at the address that the proxy names: the handler, the log, and
// from= of a key.
func TestProxiedAddress(t *testing.T) {
	seen := make(chan string, 1)
	s := start(t, func(_ context.Context, x *Exec) int { seen <- x.Remote.String(); return 0 }, proxyFrom(t, "127.0.0.0/8"))
	s.keygen("near", "ed25519")
	s.authorize(`from="192.0.2.0/24,2001:db8::/32" ` + string(s.read("near.pub")))
	for _, tt := range []struct{ name, header, want string }{
		{"version 1", "PROXY TCP4 192.0.2.7 192.0.2.2 5555 22\r\n", "192.0.2.7:5555"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::2 5555 22\r\n", "[2001:db8::7]:5555"},
		{"version 2", v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x15\xb3\x00\x16", "192.0.2.7:5555"},
		{"version 2, extensions", v2 + "\x21\x11\x00\x13\xc0\x00\x02\x07\xc0\x00\x02\x02\x15\xb3\x00\x16\x02\x00\x04main", "192.0.2.7:5555"},
		{"IPv4 as IPv6", "PROXY TCP6 ::ffff:192.0.2.7 ::1 5555 22\r\n", "192.0.2.7:5555"},
	} {
		c, err := s.behind(tt.header, "near")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		session, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		session.Run("x")
		if got := receive(t, seen); got != tt.want {
			t.Errorf("%s: from %s, want %s", tt.name, got, tt.want)
		}
		c.Close()
	}
	s.waitMatch(`msg="Accepted publickey for u from 192\.0\.2\.7 port 5555 ssh2: ED25519 \S+" from=192\.0\.2\.7 port=5555 proxy=127\.0\.0\.1 user=u `)
	if _, err := s.behind("PROXY TCP4 198.51.100.1 192.0.2.2 5555 22\r\n", "near"); err == nil {
		t.Error("a key may be used from elsewhere")
	}
	s.waitMatch(`from=198\.51\.100\.1 port=5555 proxy=127\.0\.0\.1 user=u err="correct key but not from a permitted host"`)

	// The proxy speaks for itself.
	for _, header := range []string{"PROXY UNKNOWN\r\n", v2 + "\x20\x00\x00\x00"} {
		if _, err := s.behind(header, "near"); err == nil {
			t.Errorf("%q: the proxy's own address is let in", header)
		}
		if _, err := s.behind(header, "ed25519"); err != nil {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// Who must send a header and does not, or sends half of one, is cut off.
func TestMissingProxyHeader(t *testing.T) {
	s := start(t, echo, func(c *Config) {
		proxyFrom(t, "127.0.0.1")(c)
		c.LoginGrace = 500 * time.Millisecond
	})
	for _, text := range []string{
		"SSH-2.0-x\r\n", "GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 192.0.2.7\r\n", "PROXY TCP4 192.0.2.7 192.0.2.2 99999 22\r\n",
		"PROXY TCP4 2001:db8::7 192.0.2.2 1 22\r\n", "PROXY " + strings.Repeat("x", 1000) + "\r\n",
		v2 + "\x31\x11\x00\x0c", v2 + "\x21\x11\x00\x01\x00", v2 + "\x21\x11\xff\xff", v2 + "\x21\x31\x00\xd8" + strings.Repeat("/", 216),
	} {
		nc := s.silent()
		io.WriteString(nc, text)
		s.rest(nc)
	}
	s.waitLog(`msg="refused: no PROXY header from one who has to send it" from=127.0.0.1`)
	s.rest(s.silent())
	s.waitLog(`msg="Timeout before the PROXY header" from=127.0.0.1`)
	if log := s.log.String(); strings.Contains(log, "192.0.2") || strings.Contains(log, "msg=\"Connection") {
		t.Errorf("something of it was believed:\n%s", log)
	}
	if got := s.server.Stats(); got.Penalized != 0 || got.BeforeLogin != 0 {
		t.Errorf("%+v", got)
	}
}

// Penalties hit the client that is named, and neither the proxy nor other clients.
func TestProxiedPenalties(t *testing.T) {
	s := start(t, echo, proxyFrom(t, "127.0.0.1"))
	s.keygen("other", "ed25519")
	header := func(last int) string { return fmt.Sprintf("PROXY TCP4 192.0.2.%d 192.0.2.99 5555 22\r\n", last) }
	s.behind("PROXY UNKNOWN\r\n", "other")
	for deadline := time.Now().Add(hang); s.server.Stats().Penalized == 0; { // four, or more where they take more than 5 seconds
		s.behind(header(1), "other")
		if time.Now().After(deadline) {
			t.Fatal("no penalty")
		}
	}
	if _, err := s.behind(header(1), "ed25519"); err == nil {
		t.Error("who only failed is let in")
	}
	s.waitMatch(`msg="drop connection #\d+ from \[192\.0\.2\.1\]:5555 on \[127\.0\.0\.1\]:\d+ penalty" from=192\.0\.2\.1 port=5555 proxy=127\.0\.0\.1 `)
	for _, h := range []string{header(2), "PROXY UNKNOWN\r\n"} {
		if _, err := s.behind(h, "ed25519"); err != nil {
			t.Errorf("%q: %v", h, err)
		}
	}
	if got := s.server.Stats(); got.Penalized != 1 {
		t.Errorf("%+v", got)
	}
}

// The places before login are those of whom a header is awaited, too.
func TestAwaitedProxyHeaders(t *testing.T) {
	s := start(t, echo, func(c *Config) {
		proxyFrom(t, "127.0.0.1")(c)
		c.Startups = Startups{Start: 3, Rate: 100, Full: 5}
	})
	var open []net.Conn
	for range 15 {
		open = append(open, s.silent())
	}
	if _, err := s.behind("PROXY TCP4 192.0.2.1 192.0.2.99 5555 22\r\n", "ed25519"); err != nil {
		t.Error(err)
	}
	s.waitLog(`msg="Accepted publickey for u from 192.0.2.1 `)
	if got := s.server.Stats(); got.Dropped < 10 || got.BeforeLogin > 5 || got.Logins != 1 {
		t.Errorf("%+v", got)
	}
	for _, nc := range open {
		nc.Close()
	}
}
