package fuzz

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
)

// userKey is a key that may log in, made of a fixed seed.
var userKey = sync.OnceValue(func() ssh.Signer {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		panic(err)
	}
	return signer
})

// newServer returns a server that lets userKey in, and serves ln until the
// target ends.
func newServer(f *testing.F, ln net.Listener, handler sshsrv.Handler) {
	f.Helper()
	private, _, err := sshsrv.GenerateHostKey("")
	must(f, err)
	hostKey, err := sshsrv.ParseHostKey(private)
	must(f, err)
	keys, _ := sshsrv.ParseAuthorizedKeys(ssh.MarshalAuthorizedKey(userKey().PublicKey()))
	s, err := sshsrv.New(sshsrv.Config{
		HostKeys:       []sshsrv.HostKey{hostKey},
		AuthorizedKeys: func() []sshsrv.AuthorizedKey { return keys },
		Handler:        handler,
		ShellAnswer:    "only rsync here",
		Policy: sshsrv.Policy{
			LoginGrace: maxTime / 2,
			// Connections end a little later than their clients see, and all that
			// these clients do is misbehave.
			Startups:    sshsrv.Startups{Start: 1000, Rate: 100, Full: 1000},
			NoPenalties: true,
		},
	})
	must(f, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, ln) }()
	f.Cleanup(func() {
		cancel()
		s.Close()
		if err := <-served; err != nil {
			f.Errorf("Serve: %v", err)
		}
	})
}

// bytesListener is a net.Listener of connections made of bytes.
type bytesListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *bytesListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *bytesListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *bytesListener) Addr() net.Addr { return &net.TCPAddr{} }

// bytesConn is a connection to a client that says what is in Reader, hangs up,
// and takes every answer.
type bytesConn struct {
	io.Reader
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	out []byte
}

func (c *bytesConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, p...)
	return len(p), nil
}

func (c *bytesConn) answer() []byte {
	<-c.closed
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.out)
}

func (c *bytesConn) Close() error                     { c.once.Do(func() { close(c.closed) }); return nil }
func (c *bytesConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *bytesConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *bytesConn) SetDeadline(time.Time) error      { return nil }
func (c *bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (c *bytesConn) SetWriteDeadline(time.Time) error { return nil }

// packet frames a message of the SSH protocol before encryption (RFC 4253
// section 6).
func packet(payload []byte) string {
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	n := 1 + len(payload) + padding
	p := append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), byte(padding)}, payload...)
	return string(append(p, make([]byte, padding)...))
}

// kexInit is a list of algorithms (RFC 4253 section 7.1) that the server takes.
func kexInit() string {
	p := append([]byte{20}, make([]byte, 16)...)
	for _, names := range []string{"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com", "", "", "none", "none", "", ""} {
		p = append(p, ssh.Marshal(struct{ S string }{names})...)
	}
	return packet(append(p, 0, 0, 0, 0, 0))
}

// FuzzSSHWire sends bytes to a server that has let nobody in. It answers with
// its version, says no more than a handshake needs, and hangs up.
func FuzzSSHWire(f *testing.F) {
	const version = "SSH-2.0-x\r\n"
	point := packet(ssh.Marshal(struct {
		Key []byte `sshtype:"30"`
	}{bytes.Repeat([]byte{9}, 32)}))
	for _, opening := range []string{
		"", version, "SSH-1.5-old\r\n", "GET / HTTP/1.1\r\n\r\n", version + "\x00\x00\x00\x0c\x0a\x05", version + kexInit(), version + kexInit() + point,
		version + kexInit() + point + packet([]byte{21}), version + kexInit() + point + packet([]byte{21}) + strings.Repeat("\x00", 64),
		version + packet([]byte{1, 0, 0, 0, 2}), version + packet([]byte{2, 0, 0, 0, 0}) + kexInit(), version + packet([]byte{50}), version + kexInit() + kexInit(),
		version + "\xff\xff\xff\xff", version + "\x00\x04\x00\x00\x04", strings.Repeat("x", 300), "\n\n\nSSH-2.0-\n",
	} {
		f.Add([]byte(opening))
	}
	ln := &bytesListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	newServer(f, ln, letIn)
	f.Fuzz(func(t *testing.T, client []byte) {
		defer limits{4 << 20, 200}.hold(t, len(client))()
		c := &bytesConn{Reader: bytes.NewReader(client), closed: make(chan struct{})}
		ln.conns <- c
		if out := c.answer(); !bytes.HasPrefix(out, []byte("SSH-2.0-rrserve\r\n")) || len(out) > 8192+2*len(client) {
			t.Errorf("%d bytes, %.100q", len(out), out)
		}
	})
}

func letIn(context.Context, *sshsrv.Exec) int { panic("somebody was let in") }

// dial begins a connection from a stock client of x/crypto.
func dial(addr net.Addr, user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", addr.String(), &ssh.ClientConfig{
		Config: ssh.Config{KeyExchanges: []string{ssh.KeyExchangeCurve25519}},
		User:   user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: maxTime,
	})
}

func loopback(f *testing.F) net.Listener {
	f.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(f, err)
	return ln
}

// forger offers a key with a signature that it has not made.
type forger struct {
	keyType, format string
	blob, signature []byte
}

func (f forger) PublicKey() ssh.PublicKey            { return f }
func (f forger) Type() string                        { return f.keyType }
func (f forger) Marshal() []byte                     { return f.blob }
func (f forger) Verify([]byte, *ssh.Signature) error { return nil }
func (f forger) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	return &ssh.Signature{Format: f.format, Blob: f.signature}, nil
}

// FuzzLogin tries to log in with keys, signatures and passwords that are made
// up. Nobody gets in.
func FuzzLogin(f *testing.F) {
	blob := userKey().PublicKey().Marshal()
	f.Add("root", "ssh-ed25519", blob, "ssh-ed25519", make([]byte, 64))
	f.Add("", "ssh-ed25519", blob, "ssh-ed25519", []byte{})
	f.Add("x\x00\n", "ssh-rsa", ssh.Marshal(struct{ T, E, N string }{"ssh-rsa", "\x01\x00\x01", strings.Repeat("\x7f", 256)}), "rsa-sha2-256", make([]byte, 256))
	f.Add("x", "rsa-sha2-512", ssh.Marshal(struct{ T, E, N string }{"ssh-rsa", "\x03", "\x01"}), "ssh-rsa", []byte{1})
	f.Add("x", "ssh-ed25519-cert-v01@openssh.com", blob, "ssh-ed25519", make([]byte, 64))
	f.Add("x", "sk-ssh-ed25519@openssh.com", ssh.Marshal(struct{ T, K, A string }{"sk-ssh-ed25519@openssh.com", strings.Repeat("k", 32), "ssh:"}), "sk-ssh-ed25519@openssh.com", make([]byte, 70))
	f.Add("x", "ecdsa-sha2-nistp256", []byte("\x00\x00\x00\x13ecdsa-sha2-nistp256"), "ecdsa-sha2-nistp256", []byte{0})
	f.Add("x", "", []byte{}, "", []byte{})
	ln := loopback(f)
	newServer(f, ln, letIn)
	f.Fuzz(func(t *testing.T, user, keyType string, blob []byte, format string, signature []byte) {
		defer limits{8 << 20, 500}.hold(t, len(user)+len(keyType)+len(blob)+len(format)+len(signature))()
		c, err := dial(ln.Addr(), user, ssh.PublicKeys(forger{keyType, format, blob, signature}), ssh.Password(user))
		if err == nil {
			c.Close()
			t.Error("logged in")
		}
	})
}

// sessionsPerConn is how many inputs of FuzzExec share a connection.
const sessionsPerConn = 50

// FuzzExec opens channels on a connection that is logged in and sends one
// request, above all exec with its payload, and a stream. A session runs or is
// refused, its channel is closed, and the connection lives on.
func FuzzExec(f *testing.F) {
	exec := func(command string) []byte { return ssh.Marshal(struct{ C string }{command}) }
	for _, r := range recordings(f, "0*") {
		f.Add("session", "exec", exec(r.command), r.client)
	}
	for _, command := range append(argvCommands, "", "\x00", "rsync --server --sender -r . "+strings.Repeat("a", 5000)) {
		f.Add("session", "exec", exec(command), []byte{})
	}
	for _, request := range []string{"shell", "subsystem", "pty-req", "env", "signal", "x11-req", "auth-agent-req@openssh.com", "window-change", "exit-status", ""} {
		f.Add("session", request, exec("sftp"), []byte("ls\n"))
	}
	f.Add("session", "exec", []byte{}, []byte{})
	f.Add("session", "exec", []byte("\xff\xff\xff\xffrsync"), []byte{})
	f.Add("session", "exec", append(exec("true"), "more"...), []byte{})
	f.Add("direct-tcpip", "exec", exec("127.0.0.1"), []byte{})
	f.Add("x11", "tcpip-forward", exec("127.0.0.1"), []byte{})
	ln := loopback(f)
	tree := memoryTree()
	commands := make(chan string, 1)
	newServer(f, ln, func(ctx context.Context, x *sshsrv.Exec) int {
		commands <- x.Command
		return rsyncproto.Serve(ctx, rsyncproto.Config{
			Command: x.Command, FS: tree, Seed: 1, Module: "backup", Probes: true,
			Stdin: x.Stdin, Stdout: x.Stdout, Stderr: x.Stderr, Abort: x.Abort,
		}).ExitStatus
	})
	var client *ssh.Client
	sessions := 0
	f.Fuzz(func(t *testing.T, channel, request string, payload, stdin []byte) {
		if (conversation{command: string(payload), client: stdin}).costly() {
			return
		}
		defer sessionLimits.hold(t, len(request)+len(payload)+len(stdin))()
		// A connection lives on after whatever is sent, within a budget of bytes.
		if sessions++; sessions%sessionsPerConn == 1 {
			if client != nil {
				client.Close()
			}
			var err error
			if client, err = dial(ln.Addr(), "anybody", ssh.PublicKeys(userKey())); err != nil {
				t.Fatal(err)
			}
		}
		if ok, _, err := client.SendRequest(request, true, payload); ok || err != nil {
			t.Fatalf("global request %q: %t, %v", request, ok, err)
		}
		ch, requests, err := client.OpenChannel(channel, payload)
		if (err == nil) != (channel == "session") {
			t.Fatalf("channel %q: %v", channel, err)
		}
		if err != nil {
			return
		}
		accepted, err := ch.SendRequest(request, true, payload)
		if err != nil {
			t.Fatalf("request %q: %v", request, err)
		}
		var statuses int
		if accepted && request != "pty-req" {
			statuses = converse(ch, requests, stdin)
		}
		ch.Close()
		for range requests { // until the server has closed it too
		}
		ran, parsed := "", struct{ C string }{}
		select {
		case ran = <-commands:
		default:
			ran = "nothing"
		}
		isExec := request == "exec" && ssh.Unmarshal(payload, &parsed) == nil
		switch {
		case isExec && (!accepted || statuses != 1 || ran != parsed.C && len(parsed.C) <= 128<<10):
			t.Errorf("accepted %t, %q ran, %d statuses", accepted, ran, statuses)
		case !isExec && ran != "nothing":
			t.Errorf("request %q runs %q", request, ran)
		case !isExec && accepted != slices.Contains([]string{"shell", "subsystem", "pty-req"}, request):
			t.Errorf("request %q: accepted %t", request, accepted)
		}
	})
}

// converse plays a session to its end and returns the number of exit statuses.
func converse(ch ssh.Channel, requests <-chan *ssh.Request, stdin []byte) (statuses int) {
	go func() {
		ch.Write(stdin)
		ch.CloseWrite()
	}()
	var streams sync.WaitGroup
	for _, r := range []io.Reader{ch, ch.Stderr()} {
		streams.Go(func() { io.Copy(io.Discard, r) })
	}
	for r := range requests {
		if r.Type == "exit-status" {
			statuses++
		}
	}
	streams.Wait()
	return statuses
}
