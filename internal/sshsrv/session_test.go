package sshsrv

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

func TestExitStatus(t *testing.T) {
	s := start(t, func(_ context.Context, x *Exec) int {
		var status int
		fmt.Sscan(x.Command, &status)
		fmt.Fprintln(x.Stderr, "on stderr")
		return status
	}, nil)
	for _, status := range []int{0, 1, 23, 127, 255} {
		got := s.ssh("u@127.0.0.1", fmt.Sprint(status))
		if diff := cmp.Diff(result{status, "", "on stderr\n"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestExecFields(t *testing.T) {
	got := make(chan *Exec, 1)
	s := start(t, func(_ context.Context, x *Exec) int { got <- x; return 0 }, nil)
	s.ssh("some one@127.0.0.1", "a 'b  c'\n\xff")
	x := <-got
	if x.Command != "a 'b  c'\n\xff" || x.User != "some one" || x.Key.Name != "ed25519 key" ||
		!strings.HasPrefix(x.Key.Fingerprint, "SHA256:") || x.Remote.Addr().String() != "127.0.0.1" ||
		x.Remote.Port() == 0 || !strings.HasPrefix(x.ClientVersion, "SSH-2.0-OpenSSH_") {
		t.Errorf("got %+v", x)
	}
}

func TestBytesBothWays(t *testing.T) {
	s := start(t, cat, nil)
	data := make([]byte, 1<<20)
	rand.Read(data)
	cmd := s.command("ssh", "ed25519", "u@127.0.0.1", "cat")
	cmd.Stdin = bytes.NewReader(data)
	got := s.run(cmd)
	if got.Status != 0 || got.Stdout != string(data) {
		t.Errorf("status %d, %d bytes, equal: %t", got.Status, len(got.Stdout), got.Stdout == string(data))
	}
}

func TestNothingElse(t *testing.T) {
	s := start(t, echo, nil)
	hello := `hello u "ed25519 key" ED25519`
	for _, tt := range []struct {
		name string
		args []string
		want result
	}{
		{"shell", []string{"-T", "u@127.0.0.1"}, result{1, "", "only commands here\n"}},
		{"shell on a terminal", []string{"-q", "-tt", "u@127.0.0.1"}, result{1, "", "only commands here\r\n"}},
		{"command on a terminal", []string{"-q", "-tt", "u@127.0.0.1", "hello"}, result{0, hello, ""}},
		{"subsystem", []string{"-s", "u@127.0.0.1", "sftp"}, result{1, "", "only commands here\n"}},
		{"agent", []string{"-A", "u@127.0.0.1", "hello"}, result{0, hello, ""}},
		{"X11", []string{"-q", "-X", "u@127.0.0.1", "hello"}, result{0, hello, ""}},
		{"environment", []string{"-o", "SetEnv=A=b", "u@127.0.0.1", "hello"}, result{0, hello, ""}},
		{"-R", []string{"-R", "127.0.0.1:0:127.0.0.1:1", "u@127.0.0.1", "hello"},
			result{0, hello, "Warning: remote port forwarding failed for listen port 0\r\n"}},
		{"-R that must succeed", []string{"-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:1", "u@127.0.0.1", "hello"},
			result{255, "", "Error: remote port forwarding failed for listen port 0\r\n"}},
		{"-R of a socket", []string{"-R", "/nonexistent/s:127.0.0.1:1", "u@127.0.0.1", "hello"},
			result{0, hello, "Warning: remote port forwarding failed for listen path /nonexistent/s\r\n"}},
		{"what -L asks for", []string{"-W", "127.0.0.1:22", "u@127.0.0.1"},
			result{255, "", "channel 0: open failed: administratively prohibited: nothing is forwarded here\r\nstdio forwarding failed\r\n"}},
	} {
		got := s.ssh(tt.args...)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got := s.run(s.command("sftp", "ed25519", "u@127.0.0.1")); got.Status != 255 || !strings.HasPrefix(got.Stderr, "only commands here\n") {
		t.Errorf("sftp: %+v", got)
	}
	if got := s.run(s.command("scp", "ed25519", "-s", "u@127.0.0.1:x", filepath.Join(s.dir, "x"))); got.Status != 255 || !strings.HasPrefix(got.Stderr, "only commands here\n") {
		t.Errorf("scp: %+v", got)
	}
}

// dial logs in with x/crypto's client, which can be made to misbehave.
func (s *testServer) dial() *ssh.Client {
	s.t.Helper()
	c, _ := s.dialWith(ssh.Config{})
	return c
}

func (s *testServer) dialWith(algorithms ssh.Config) (*ssh.Client, net.Conn) {
	s.t.Helper()
	signer, err := ssh.ParsePrivateKey(s.read("ed25519"))
	if err != nil {
		s.t.Fatal(err)
	}
	nc, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	conn, channels, requests, err := ssh.NewClientConn(nc, s.addr.String(), &ssh.ClientConfig{
		Config:          algorithms,
		User:            "u",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	c := ssh.NewClient(conn, channels, requests)
	s.t.Cleanup(func() { c.Close() })
	return c, nc
}

// open opens a session channel and returns it with the exit status that comes,
// -1 for none.
func (s *testServer) open(c *ssh.Client) (ssh.Channel, <-chan int) {
	s.t.Helper()
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	status := make(chan int, 1)
	go func() {
		got := -1
		for r := range requests {
			if r.Type == "exit-status" {
				got = int(r.Payload[3])
			}
		}
		status <- got
	}()
	return ch, status
}

func request(t *testing.T, ch ssh.Channel, name, text string) bool {
	t.Helper()
	ok, err := ch.SendRequest(name, true, ssh.Marshal(struct{ Text string }{text}))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestRequestAnswers(t *testing.T) {
	s := start(t, cat, nil)
	ch, status := s.open(s.dial())
	for _, tt := range []struct {
		name string
		want bool
	}{
		{"env", false},
		{"auth-agent-req@openssh.com", false},
		{"x11-req", false},
		{"signal", false},
		{"window-change", false},
		{"break", false},
		{"pty-req", true},
		{"exec", true},
		{"exec", false}, // one command per channel
		{"shell", false},
		{"subsystem", false},
		{"pty-req", false},
	} {
		if got := request(t, ch, tt.name, "x"); got != tt.want {
			t.Errorf("%s: answer %t, want %t", tt.name, got, tt.want)
		}
	}
	ch.CloseWrite()
	if got := <-status; got != 0 {
		t.Errorf("status %d", got)
	}
}

func TestMalformedExec(t *testing.T) {
	s := start(t, echo, nil)
	ch, _ := s.open(s.dial())
	if ok, err := ch.SendRequest("exec", true, []byte{0, 0, 1}); ok || err != nil {
		t.Errorf("got %t, %v", ok, err)
	}
	if !request(t, ch, "exec", "hello") {
		t.Error("a good request after a bad one was refused")
	}
}

func TestLongCommand(t *testing.T) {
	s := start(t, echo, nil)
	ch, status := s.open(s.dial())
	request(t, ch, "exec", strings.Repeat("x", maxCommand+1))
	text, _ := io.ReadAll(ch.Stderr())
	if got := <-status; got != StatusRefused || string(text) != "the command is too long\n" {
		t.Errorf("status %d, %q", got, text)
	}
}

func TestChannelsPerConnection(t *testing.T) {
	s := start(t, cat, nil)
	c := s.dial()
	var first ssh.Channel
	for i := range maxChannels {
		ch, _ := s.open(c)
		if i == 0 {
			first = ch
		}
	}
	if _, _, err := c.OpenChannel("session", nil); err == nil || !strings.Contains(err.Error(), "too many sessions on this connection") {
		t.Errorf("one channel too many: %v", err)
	}
	if got := s.server.Stats().OverLimit; got != 1 {
		t.Errorf("counted %d times, want 1", got)
	}
	if _, _, err := c.OpenChannel("direct-tcpip", nil); err == nil {
		t.Error("direct-tcpip opened")
	}
	request(t, first, "exec", "cat")
	first.CloseWrite()
	io.Copy(io.Discard, first)
	first.Close()
	for deadline := time.Now().Add(hang); ; time.Sleep(time.Millisecond) { // the server may not have seen the close
		if _, _, err := c.OpenChannel("session", nil); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("a closed channel did not make room: %v", err)
		}
	}
}

func TestMaxSessions(t *testing.T) {
	release := make(chan struct{})
	s := start(t, func(_ context.Context, x *Exec) int {
		fmt.Fprintln(x.Stdout, "running")
		<-release
		return 0
	}, func(c *Config) { c.MaxSessions = 1 })
	ch, status := s.open(s.dial())
	request(t, ch, "exec", "first")
	if _, err := ch.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	got := s.ssh("u@127.0.0.1", "second")
	if diff := cmp.Diff(result{StatusBusy, "", "too many sessions; try again later [E-LIMIT]\n"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	close(release)
	if got := <-status; got != 0 {
		t.Errorf("first: status %d", got)
	}
	if got := s.ssh("u@127.0.0.1", "third"); got.Status != 0 {
		t.Errorf("after the first ended: %+v", got)
	}
}

func TestPanicEndsItsSessionOnly(t *testing.T) {
	s := start(t, func(ctx context.Context, x *Exec) int {
		if x.Command == "panic" {
			panic("provoked")
		}
		return cat(ctx, x)
	}, nil)
	c := s.dial()
	other, otherStatus := s.open(c)
	request(t, other, "exec", "cat")

	ch, status := s.open(c)
	request(t, ch, "exec", "panic")
	text, _ := io.ReadAll(ch.Stderr())
	if got := <-status; got != StatusPanic || string(text) != "internal error\n" {
		t.Errorf("status %d, %q", got, text)
	}
	s.wantLog(`msg="panic in a session"`, "panic=provoked", "session_test.go")

	other.Write([]byte("still here"))
	other.CloseWrite()
	if out, _ := io.ReadAll(other); string(out) != "still here" {
		t.Errorf("the other session read %q", out)
	}
	if got := <-otherStatus; got != 0 {
		t.Errorf("the other session: status %d", got)
	}
}

// waiting is a handler that ends when its input, its context and its output
// have ended, one after the other. It sends why its context has.
func waiting(ended chan<- error) Handler {
	return func(ctx context.Context, x *Exec) int {
		fmt.Fprintln(x.Stdout, "running")
		io.Copy(io.Discard, x.Stdin)
		<-ctx.Done()
		for { // the context may end a moment before the channel
			if _, err := x.Stdout.Write([]byte("x")); err != nil {
				break
			}
		}
		ended <- context.Cause(ctx)
		return 1
	}
}

func TestClientGoesAway(t *testing.T) {
	ended := make(chan error, 1)
	s := start(t, waiting(ended), nil)

	c := s.dial()
	ch, _ := s.open(c)
	request(t, ch, "exec", "x")
	ch.Read(make([]byte, 1))
	ch.Close()
	if err := receive(t, ended); err != errClosed {
		t.Errorf("the context ended: %v", err)
	}

	ch, _ = s.open(c)
	request(t, ch, "exec", "x")
	ch.Read(make([]byte, 1))
	c.Close()
	if err := receive(t, ended); err != errClosed {
		t.Errorf("the context ended: %v", err)
	}
}

func TestAbort(t *testing.T) {
	ended := make(chan error, 1)
	s := start(t, func(ctx context.Context, x *Exec) int {
		x.Abort()
		_, err := io.Copy(io.Discard, x.Stdin)
		if err == nil {
			err = ctx.Err()
		}
		ended <- err
		return 1
	}, nil)
	ch, status := s.open(s.dial())
	request(t, ch, "exec", "x")
	if err := receive(t, ended); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if got := <-status; got != -1 {
		t.Errorf("status %d after an abort", got)
	}
}

func TestKeepAliveEndsDeadConnections(t *testing.T) {
	ended := make(chan error, 1)
	s := start(t, waiting(ended), nil)
	cmd := s.command("ssh", "ed25519", "u@127.0.0.1", "x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	// It answers: twenty intervals later it is still there. They are as long as it
	// takes; a clock would not wait for a busy machine.
	p := pulse{conn: s.conns()[0]}
	deadline := time.Now().Add(hang)
	for range 20 {
		if !p.beat() {
			t.Fatal("a living connection was ended")
		}
		for p.asking.Load() {
			if time.Now().After(deadline) {
				t.Fatal("no answer")
			}
			time.Sleep(time.Millisecond)
		}
	}
	freeze(t, cmd)
	for beats := 1; p.beat(); beats++ {
		if beats > 2*missedKeepAlives {
			t.Fatal("a dead connection was not ended")
		}
	}
	receive(t, ended)
	s.wantLog(`msg="connection timed out"`)
}

func TestDrain(t *testing.T) {
	release := make(chan struct{})
	s := start(t, func(_ context.Context, x *Exec) int {
		fmt.Fprintln(x.Stdout, "running")
		<-release
		fmt.Fprintln(x.Stdout, "finished")
		return 7
	}, func(c *Config) { c.Drain = time.Minute })
	idle, busy := s.dial(), s.dial()
	ch, status := s.open(busy)
	request(t, ch, "exec", "x")
	ch.Read(make([]byte, len("running\n")))

	s.stop()
	idle.Wait() // closed at once
	if _, _, err := busy.OpenChannel("session", nil); err == nil {
		t.Error("a new session while draining")
	}
	close(release)
	if out, _ := io.ReadAll(ch); string(out) != "finished\n" {
		t.Errorf("read %q", out)
	}
	if got := <-status; got != 7 {
		t.Errorf("status %d", got)
	}
	busy.Wait() // closed by the server although the client stays
	if err := receive(t, s.served); err != nil {
		t.Error(err)
	}
	s.served <- nil // for the cleanup
}

func TestDrainTimeAndClose(t *testing.T) {
	for _, tt := range []struct {
		name  string
		drain time.Duration
		end   func(*testServer)
	}{
		{"drain time over", time.Millisecond, func(s *testServer) { s.stop() }},
		{"second signal", time.Hour, func(s *testServer) { s.stop(); s.server.Close() }},
		{"close alone", time.Hour, func(s *testServer) { s.server.Close() }},
	} {
		ended := make(chan error, 1)
		s := start(t, waiting(ended), func(c *Config) { c.Drain = tt.drain })
		ch, _ := s.open(s.dial())
		request(t, ch, "exec", "x")
		ch.Read(make([]byte, 1))
		tt.end(s)
		receive(t, ended)
		if err := receive(t, s.served); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		s.served <- nil
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(hang):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
