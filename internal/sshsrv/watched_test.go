package sshsrv

import (
	"context"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Every packet must reach the client without another one behind it, whatever
// its length: the client answers each before the next is sent.
func TestNoPacketIsHeldBack(t *testing.T) {
	sizes := []int{1, 31744, 32767, 32768}
	for n := 3900; n <= 4200; n++ {
		sizes = append(sizes, n, 2*n)
	}
	for _, cipher := range allowedCiphers {
		for _, mac := range macs {
			s := start(t, func(_ context.Context, x *Exec) int {
				b := make([]byte, slices.Max(sizes))
				for _, n := range sizes {
					if _, err := x.Stdout.Write(b[:n]); err != nil {
						return 1
					}
					if _, err := x.Stdin.Read(b[:1]); err != nil {
						return 2
					}
				}
				return 0
			}, func(c *Config) { c.Ciphers = []string{cipher} })
			c, nc := s.dialWith(ssh.Config{MACs: []string{mac}})
			nc.SetDeadline(time.Now().Add(hang))
			ch, status := s.open(c)
			request(t, ch, "exec", "x")
			b := make([]byte, slices.Max(sizes))
			for _, n := range sizes {
				if _, err := io.ReadFull(ch, b[:n]); err != nil {
					t.Fatalf("%s, %s: %d bytes: %v", cipher, mac, n, err)
				}
				ch.Write(b[:1])
			}
			if got := <-status; got != 0 {
				t.Errorf("%s, %s: status %d", cipher, mac, got)
			}
			c.Close()
		}
	}
}

// writes records the sizes of the writes to a connection.
type writes struct {
	net.Conn
	sizes []int
}

func (w *writes) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return len(p), nil
}

func TestWritesAreJoined(t *testing.T) {
	w := &writes{}
	c := &watchedConn{Conn: w}
	p := make([]byte, 40000)
	c.Write(p[:bufioSize]) // before the login is over
	c.encrypted.Store(true)
	for _, n := range []int{100, bufioSize, 5000, bufioSize, bufioSize, 7} {
		if got, err := c.Write(p[:n]); got != n || err != nil {
			t.Errorf("a write of %d: %d, %v", n, got, err)
		}
	}
	// Without writev the joined writes are still seen one by one.
	if want := []int{4096, 100, 4096, 5000, 4096, 4096, 7}; !slices.Equal(w.sizes, want) {
		t.Errorf("got %v, want %v", w.sizes, want)
	}
	if c.holding {
		t.Error("something is left")
	}
}

// BenchmarkStdout sends 32768 bytes per operation to the OpenSSH client.
func BenchmarkStdout(b *testing.B) {
	s := start(b, func(_ context.Context, x *Exec) int {
		p := make([]byte, 32768)
		for b.Loop() {
			if _, err := x.Stdout.Write(p); err != nil {
				return 1
			}
		}
		return 0
	}, nil)
	b.SetBytes(32768)
	b.ReportAllocs()
	if err := s.command("ssh", "ed25519", "u@127.0.0.1", "x").Run(); err != nil {
		b.Fatal(err)
	}
}

// Each login took 80 ms longer than it had to, while ssh waited for
// acknowledgements.
func TestAcknowledgesUntilLoggedIn(t *testing.T) {
	var acks atomic.Int32
	s := start(t, func(context.Context, *Exec) int { return int(acks.Load()) }, func(c *Config) {
		c.AckNow = func(c net.Conn) {
			if _, ok := c.(*net.TCPConn); !ok {
				t.Errorf("%T acknowledged", c)
			}
			acks.Add(1)
		}
	})
	c, _ := s.dialWith(ssh.Config{})
	ch, status := s.open(c)
	request(t, ch, "exec", "x")
	atBegin := <-status
	// At least for the key exchange, the request of the service, and the key.
	if atBegin < 3 {
		t.Errorf("%d acknowledgements before the command", atBegin)
	}
	ch, status = s.open(c)
	request(t, ch, "exec", "x")
	if n := <-status; n != atBegin {
		t.Errorf("%d acknowledgements after the login", n-atBegin)
	}
}
