package sshsrv

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// flood writes p again and again until the server hangs up, and returns the
// number of bytes that it took. More than limit is an error.
func flood(t *testing.T, nc net.Conn, p []byte, limit int) {
	t.Helper()
	nc.SetDeadline(time.Now().Add(hang))
	go io.Copy(io.Discard, nc)
	for n := 0; n < limit; {
		m, err := nc.Write(p)
		if n += m; err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("the server neither took it nor hung up")
			}
			return
		}
	}
	t.Errorf("the server took %d bytes", limit)
}

// What the kernel's buffers hold on top of what the server reads.
const kernelBuffers = 16 << 20

// A greeting without an end, of short lines or one long one, before login.
func TestEndlessGreeting(t *testing.T) {
	s := start(t, echo, nil)
	for _, line := range []string{strings.Repeat("x", 1000), "x\n", "\n", "\x00", "SSH-2.0-x\r\nx"} {
		flood(t, s.silent(), []byte(strings.Repeat(line, 1+4096/len(line))), kernelBuffers)
	}
}

// plainPacket is a packet as it is before encryption (RFC 4253 section 6).
func plainPacket(payload []byte) []byte {
	pad := 8 - (5+len(payload))%8
	if pad < 4 {
		pad += 8
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
	p = append(p, byte(pad))
	p = append(p, payload...)
	return append(p, make([]byte, pad)...)
}

// Packets that a server ignores, in front of a key exchange and within it.
func TestIgnoredPacketsBeforeLogin(t *testing.T) {
	s := start(t, echo, nil)
	ignore := plainPacket(append([]byte{2, 0, 0, 0, 8}, "whatever"...))
	nc := s.silent()
	io.WriteString(nc, "SSH-2.0-x\r\n")
	flood(t, nc, ignore, kernelBuffers)

	init := append([]byte{20}, make([]byte, 16)...)
	for _, list := range []string{
		"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com",
		"hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "",
	} {
		init = append(binary.BigEndian.AppendUint32(init, uint32(len(list))), list...)
	}
	init = append(init, 0, 0, 0, 0, 0)
	nc = s.silent()
	io.WriteString(nc, "SSH-2.0-x\r\n")
	nc.Write(plainPacket(init))
	flood(t, nc, ignore, kernelBuffers)
	s.waitLog("err=\"" + errFlood.Error())
}

// A client that is logged in floods the server with what leads to nothing.
func TestFloodsAfterLogin(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(t *testing.T, s *testServer, c *ssh.Client) error
	}{
		{"global requests", func(_ *testing.T, _ *testServer, c *ssh.Client) error {
			_, _, err := c.SendRequest("x", false, make([]byte, 30000))
			return err
		}},
		{"channels of an unknown type", func(_ *testing.T, _ *testServer, c *ssh.Client) error {
			_, _, err := c.OpenChannel("x", make([]byte, 30000))
			if _, ok := err.(*ssh.OpenChannelError); ok {
				return nil
			}
			return err
		}},
		{"channels opened and closed", func(_ *testing.T, _ *testServer, c *ssh.Client) error {
			ch, requests, err := c.OpenChannel("session", make([]byte, 30000))
			if err != nil {
				if _, ok := err.(*ssh.OpenChannelError); ok {
					return nil // the server has not seen the last close
				}
				return err
			}
			go ssh.DiscardRequests(requests)
			return ch.Close()
		}},
	} {
		s := start(t, echo, nil)
		c := s.dial()
		var err error
		for n := 0; err == nil && n < 2*maxCredit; n += 30000 {
			err = tt.send(t, s, c)
		}
		if err == nil {
			t.Errorf("%s: the server took %d bytes", tt.name, 2*maxCredit)
			continue
		}
		s.waitLog(`msg="cut: more was sent than a client needs"`)
		if got := s.server.Stats(); got.Flooding != 1 {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if n := strings.Count(s.log.String(), "refused channel"); n > maxComplaints {
			t.Errorf("%s: %d lines in the log", tt.name, n)
		}
	}
}

// Requests on a channel, and data on it that no command reads.
func TestFloodsOfAChannel(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(ch ssh.Channel) error
	}{
		{"requests", func(ch ssh.Channel) error {
			_, err := ch.SendRequest("env", true, make([]byte, 30000))
			return err
		}},
		{"exec beside a running command", func(ch ssh.Channel) error {
			_, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Text string }{strings.Repeat("x", 30000)}))
			return err
		}},
		{"extended data", func(ch ssh.Channel) error {
			_, err := ch.Stderr().Write(make([]byte, 30000))
			return err
		}},
	} {
		stuck := make(chan struct{})
		s := start(t, func(ctx context.Context, x *Exec) int { <-ctx.Done(); close(stuck); return 0 }, nil)
		ch, _ := s.open(s.dial())
		request(t, ch, "exec", "x")
		var err error
		for n := 0; err == nil && n < 2*maxCredit; n += 30000 {
			err = tt.send(ch)
		}
		if err == nil {
			t.Errorf("%s: the server took %d bytes", tt.name, 2*maxCredit)
			continue
		}
		receive(t, stuck)
	}
}

// Input that comes in packets of one byte and is not read costs 48 times its
// length in memory. The budget ends it before all windows of a connection are full.
func TestTinyPacketsCostBoundedMemory(t *testing.T) {
	ended := make(chan struct{}, maxChannels)
	s := start(t, func(ctx context.Context, x *Exec) int { <-ctx.Done(); ended <- struct{}{}; return 0 }, nil)
	before := heap()
	c := s.dial()
	var all []ssh.Channel
	for range maxChannels {
		ch, _ := s.open(c)
		request(t, ch, "exec", "x")
		all = append(all, ch)
	}
	for _, ch := range all {
		go func() {
			b := make([]byte, 1)
			for {
				if _, err := ch.Write(b); err != nil {
					return
				}
			}
		}()
	}
	most := uint64(0)
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		case <-time.After(50 * time.Millisecond):
			now := heap()
			most = max(most, now-min(now, before))
		}
	}
	s.waitLog(`msg="cut: more was sent than a client needs"`)
	if most > 64<<20 {
		t.Errorf("%d MiB in use", most>>20)
	}
	for range maxChannels - 1 {
		receive(t, ended)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A session whose input is small but read, for far longer than the budget would
// last by itself, goes on.
func TestSmallPacketsThatAreRead(t *testing.T) {
	s := start(t, cat, nil)
	ch, status := s.open(s.dial())
	request(t, ch, "exec", "cat")
	const size, count = 4, maxCredit/52 + 50_000
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, ch)
		done <- err
	}()
	b := make([]byte, size)
	for range count {
		if _, err := ch.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	ch.CloseWrite()
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
	if got := <-status; got != 0 {
		t.Errorf("status %d", got)
	}
}

func TestSessionsPerKey(t *testing.T) {
	release := make(chan struct{})
	s := start(t, func(_ context.Context, x *Exec) int {
		io.WriteString(x.Stdout, "running")
		<-release
		return 0
	}, func(c *Config) { c.MaxSessions, c.MaxSessionsPerKey = 3, 2 })
	s.authorize(s.keygen("other", "ed25519"))
	var statuses []<-chan int
	for range 2 {
		ch, status := s.open(s.dial())
		request(t, ch, "exec", "x")
		ch.Read(make([]byte, 1))
		statuses = append(statuses, status)
	}
	if got := s.ssh("u@127.0.0.1", "x"); got.Status != StatusBusy || got.Stderr != "too many sessions; try again later [E-LIMIT]\n" {
		t.Errorf("the third of a key: %+v", got)
	}
	s.waitLog(`msg="refused: too many sessions per key"`)
	close(release)
	if got := s.run(s.command("ssh", "other", "u@127.0.0.1", "x")); got.Status != 0 {
		t.Errorf("another key: %+v", got)
	}
	for _, status := range statuses {
		if got := <-status; got != 0 {
			t.Errorf("status %d", got)
		}
	}
	if got := s.server.Stats(); got.OverLimit != 1 || got.Sessions != 0 {
		t.Errorf("%+v", got)
	}
}

// Connections without a session are bounded as well, and those refused leave
// nothing behind whatever they had asked for.
func TestConnectionsPerKey(t *testing.T) {
	s := start(t, echo, func(c *Config) { c.MaxSessions, c.MaxSessionsPerKey = 9, 1 })
	first, second := s.dial(), s.dial()
	s.open(first) // each has its seat before the third comes
	s.open(second)
	before := runtime.NumGoroutine()
	third := s.dial()
	for range 40 {
		go third.OpenChannel("session", nil)
	}
	if err := third.Wait(); err == nil {
		t.Error("it ended without an error")
	}
	s.waitLog(`msg="refused: too many connections per key"`)
	waitGoroutines(t, before+20) // some of the first two may not have been there yet
	first.Close()
	s.waitStats(func(got Stats) bool { return got.Connections == 1 })
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 0 {
		t.Errorf("after one had left: %+v", got)
	}
}

// waitGoroutines waits until there are no more than n.
func waitGoroutines(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(hang); runtime.NumGoroutine() > n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), n)
		}
	}
}

// A connection on which nothing runs is closed, also one with a channel on which
// nothing was asked for; one with a command stays.
func TestUnusedConnections(t *testing.T) {
	s := start(t, cat, func(c *Config) { c.KeepAlive, c.Idle = time.Millisecond, time.Nanosecond })
	s.dial().Wait()
	s.wantLog(`msg="connection not used"`)

	// All at one moment.
	s = start(t, cat, func(c *Config) { c.Idle = time.Nanosecond })
	used, empty, open := s.dial(), s.dial(), s.dial()
	ch, status := s.open(used)
	request(t, ch, "exec", "cat")
	io.WriteString(ch, "x")
	ch.Read(make([]byte, 1)) // it runs
	s.open(open)
	if _, _, err := empty.SendRequest("x", true, nil); err != nil { // it is served
		t.Fatal(err)
	}
	for _, c := range s.conns() {
		(&pulse{conn: c}).beat()
	}
	empty.Wait()
	open.Wait()
	io.WriteString(ch, "still here")
	ch.CloseWrite()
	if out, _ := io.ReadAll(ch); string(out) != "still here" {
		t.Errorf("read %q", out)
	}
	if got := <-status; got != 0 {
		t.Errorf("status %d", got)
	}
}

// A panic before login ends its connection only.
func TestPanicBeforeLogin(t *testing.T) {
	var authorized func() []AuthorizedKey
	s := start(t, echo, func(c *Config) {
		authorized = c.AuthorizedKeys
		first := true
		c.AuthorizedKeys = func() []AuthorizedKey {
			if first {
				first = false
				panic("provoked")
			}
			return authorized()
		}
	})
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 255 {
		t.Errorf("%+v", got)
	}
	s.waitLog(`msg="panic in a connection"`)
	s.waitStats(func(got Stats) bool { return got.Panics == 1 && got.Penalized == 1 && got.BeforeLogin == 0 })
}

func TestLogState(t *testing.T) {
	s := start(t, cat, nil)
	ch, status := s.open(s.dial())
	request(t, ch, "exec", "cat "+strings.Repeat("x", 2*maxLogged))
	io.WriteString(ch, "x")
	ch.Read(make([]byte, 1))
	s.server.LogState()
	s.wantLog(`msg="state of a session" from=127.0.0.1`, `key="ed25519 key" command="cat xxx`, "xxx...\" seconds=",
		"msg=state before_login=0 connections=1 sessions=1 penalized=0 accepted=1 logins=1", " goroutines=", " heap_bytes=")
	ch.CloseWrite()
	<-status
}
