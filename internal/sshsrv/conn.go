package sshsrv

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// conn is one TCP connection from accept to its end.
type conn struct {
	srv    *Server
	net    *watchedConn
	remote netip.AddrPort
	log    *slog.Logger // with the remote address
	ssh    *ssh.ServerConn
	key    AuthorizedKey // that logged in

	mu       sync.Mutex
	channels int            // open sessions
	wg       sync.WaitGroup // one per open session
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, net: &watchedConn{Conn: nc}}
	if addr, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := addr.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	c.log = s.cfg.Log.With("from", c.remote.Addr().String(), "port", c.remote.Port())
	return c
}

// serve runs the connection to its end.
func (c *conn) serve(ctx context.Context) {
	defer c.net.Close()
	c.log.Info("connected")
	channels, requests, ok := c.login()
	<-c.srv.logins
	if !ok {
		return
	}
	if c.srv.isDraining() {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	go c.keepAlive(ctx)
	go refuseAll(requests)
	for nc := range channels {
		c.open(ctx, nc)
	}
	cancel()
	c.wg.Wait()
	c.log.Info("disconnected", "key", c.key.Name)
}

// login runs the handshake and the authentication under one deadline.
func (c *conn) login() (<-chan ssh.NewChannel, <-chan *ssh.Request, bool) {
	a := &login{conn: c}
	c.net.SetDeadline(time.Now().Add(c.srv.cfg.LoginGrace))
	client := c.net.greet(c.srv.ssh.ServerVersion)
	sc, channels, requests, err := ssh.NewServerConn(c.net, a.config(client))
	if err != nil {
		a.logEnd(err)
		return nil, nil, false
	}
	c.net.SetDeadline(time.Time{})
	c.net.encrypted.Store(true)
	c.ssh = sc
	c.key = acceptedKey(sc.Permissions)
	algorithms := ssh.NegotiatedAlgorithms{}
	if m, ok := sc.Conn.(ssh.AlgorithmsConnMetadata); ok {
		algorithms = m.Algorithms()
	}
	c.log.Info("Accepted publickey", "user", sc.User(),
		"type", c.key.Type, "fingerprint", c.key.Fingerprint, "key", c.key.Name,
		"client", string(sc.ClientVersion()),
		"kex", algorithms.KeyExchange, "cipher", algorithms.Write.Cipher)
	return channels, requests, true
}

// open accepts a session channel and refuses any other.
func (c *conn) open(ctx context.Context, nc ssh.NewChannel) {
	switch {
	case nc.ChannelType() != "session":
		c.log.Info("refused channel", "type", nc.ChannelType())
		nc.Reject(ssh.Prohibited, "nothing is forwarded here")
		return
	case c.srv.isDraining():
		nc.Reject(ssh.ConnectionFailed, "the server is stopping")
		return
	case !c.addChannel():
		c.log.Warn("refused: too many sessions on one connection", "limit", maxChannels)
		nc.Reject(ssh.ResourceShortage, "too many sessions on this connection")
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		c.removeChannel()
		return
	}
	go func() {
		defer c.removeChannel()
		s := &session{conn: c, ch: ch, gone: make(chan struct{})}
		s.serve(ctx, requests)
	}()
}

func (c *conn) addChannel() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.channels == maxChannels {
		return false
	}
	c.channels++
	c.wg.Add(1)
	return true
}

func (c *conn) removeChannel() {
	c.mu.Lock()
	c.channels--
	last := c.channels == 0
	c.mu.Unlock()
	c.wg.Done()
	if last && c.srv.isDraining() {
		// The client hangs up by itself once it has its exit status; closing
		// now could reset the connection before that has arrived.
		time.AfterFunc(lingerDraining, func() { c.net.Close() })
	}
}

// closeIfIdle ends a connection that has no session, logged in or not.
func (c *conn) closeIfIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.channels == 0 {
		c.net.Close()
	}
}

// refuseAll answers global requests: forwardings, and keepalives, to which
// "no" is the usual answer.
func refuseAll(requests <-chan *ssh.Request) {
	for r := range requests {
		r.Reply(false, nil)
	}
}

// keepAlive sends a request in each interval and ends the connection after
// three in which nothing arrived. Anything that arrives counts, not only the
// answer, which on a slow line comes behind the data under way.
func (c *conn) keepAlive(ctx context.Context) {
	tick := time.NewTicker(c.srv.cfg.KeepAlive)
	defer tick.Stop()
	var asking atomic.Bool
	seen, missed := uint64(0), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := c.net.reads.Load(); n != seen {
			seen, missed = n, 0
		} else if missed++; missed == missedKeepAlives {
			c.log.Warn("connection timed out", "key", c.key.Name)
			c.net.Close()
			return
		}
		if asking.CompareAndSwap(false, true) {
			go func() { // waits for the answer or the connection's end
				c.ssh.SendRequest("keepalive@openssh.com", true, nil)
				asking.Store(false)
			}()
		}
	}
}
