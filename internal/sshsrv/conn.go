package sshsrv

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// conn is one TCP connection from accept to its end.
type conn struct {
	srv    *Server
	policy *Policy // of the moment when it was accepted
	net    *watchedConn
	remote netip.AddrPort
	local  netip.AddrPort
	source netip.Prefix // what penalties count for
	log    *slog.Logger // with the remote address
	proxy  bool         // it begins by saying whom it is from
	ssh    *ssh.ServerConn
	key    AuthorizedKey // that logged in

	complaints atomic.Int32 // lines in the log about what was asked for in vain

	mu       sync.Mutex
	channels int                 // open sessions
	running  map[*Exec]time.Time // commands, with their begin
	unused   time.Time           // since when there is none
	wg       sync.WaitGroup      // one per open session
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, policy: s.policy.Load(), net: watch(nc), running: make(map[*Exec]time.Time)}
	c.net.ackNow = s.cfg.AckNow
	if addr, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.setRemote(unmapped(addr.AddrPort()))
	} else {
		c.setRemote(netip.AddrPort{})
	}
	if c.proxy = c.policy.proxied(c.remote.Addr()); c.proxy {
		c.source = netip.Prefix{}
	}
	if addr, ok := nc.LocalAddr().(*net.TCPAddr); ok {
		c.local = unmapped(addr.AddrPort())
	}
	return c
}

// setRemote says whom the connection is from. Others look at that in startups, so
// there it changes by rename only.
func (c *conn) setRemote(from netip.AddrPort) {
	c.remote = from
	c.source = sourceOf(from.Addr())
	c.log = c.srv.cfg.Log.With("from", from.Addr().String(), "port", from.Port())
}

// turnAway ends a new connection with a line in place of a greeting, which ssh
// shows with -v.
func (c *conn) turnAway(line string) {
	c.net.SetDeadline(time.Now().Add(time.Second)) // for a listener that is not a kernel's
	io.WriteString(c.net.Conn, line+"\r\n")
	c.net.Close()
}

// recovered keeps a panic from ending the process. It is to be deferred.
func (c *conn) recovered(where string) {
	if r := recover(); r != nil {
		c.panicked(where, r)
		c.srv.penalize(c, penaltyCrash)
	}
}

func (c *conn) panicked(where string, r any, attrs ...any) {
	c.srv.count.panics.Add(1)
	c.log.Error("panic in a "+where, append(attrs, "panic", r, "stack", string(debug.Stack()))...)
}

// complain logs what a client asked for in vain, a bounded number of times.
func (c *conn) complain(level slog.Level, msg string, attrs ...any) {
	if c.complaints.Add(1) <= maxComplaints {
		c.log.Log(context.Background(), level, msg, attrs...)
	}
}

// serve runs the connection to its end.
func (c *conn) serve(ctx context.Context) {
	defer c.net.Close()
	defer c.srv.startups.leave(c) // if login did not come to an end
	c.log.Debug("connected")
	channels, requests, ok := c.login()
	if !ok {
		return
	}
	limit, n, ok := c.srv.connections.take(c.key)
	if !ok {
		c.srv.count.overLimit.Add(1)
		c.log.Warn("refused: too many connections "+limit, "limit", n, "key", c.key.Name, "code", codeLimit)
		c.discard(channels, requests)
		return
	}
	defer c.srv.connections.leave(c.key)
	if c.srv.isDraining() {
		c.discard(channels, requests)
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c.unused = time.Now()
	go c.keepAlive(ctx)
	go refuseAll(requests)
	for nc := range channels {
		c.open(ctx, nc)
	}
	cancel(errClosed)
	c.wg.Wait()
	if c.net.flooded.Load() {
		c.srv.count.flooding.Add(1)
		c.log.Warn("cut: more was sent than a client needs", "key", c.key.Name)
	}
	c.log.Info("disconnected", "key", c.key.Name)
}

// login runs the handshake and the authentication under one deadline.
func (c *conn) login() (<-chan ssh.NewChannel, <-chan *ssh.Request, bool) {
	a := &login{conn: c}
	c.net.SetDeadline(time.Now().Add(c.policy.LoginGrace))
	if c.proxy && !c.introduce() {
		return nil, nil, false
	}
	client := c.net.greet(c.srv.ssh.ServerVersion)
	sc, channels, requests, err := ssh.NewServerConn(c.net, a.config(client))
	dropped := !c.srv.startups.leave(c)
	if err != nil {
		if !dropped {
			a.ended(err)
		}
		return nil, nil, false
	}
	c.srv.count.logins.Add(1)
	c.srv.penalties.spare(c.source, time.Now())
	c.key = acceptedKey(sc.Permissions)
	c.net.SetDeadline(time.Time{})
	c.net.loggedIn()
	c.ssh = sc
	algorithms := ssh.NegotiatedAlgorithms{}
	if m, ok := sc.Conn.(ssh.AlgorithmsConnMetadata); ok {
		algorithms = m.Algorithms()
	}
	c.log.Info("Accepted publickey for "+visible(clip(sc.User(), maxUser))+" from "+c.peer()+" ssh2: "+c.key.Type+" "+c.key.Fingerprint, "user", sc.User(),
		"type", c.key.Type, "fingerprint", c.key.Fingerprint, "key", c.key.Name,
		"client", string(sc.ClientVersion()),
		"kex", algorithms.KeyExchange, "cipher", algorithms.Write.Cipher)
	return channels, requests, true
}

// discard ends a connection that logged in and is not served. What it asked for
// must be taken, or x/crypto's goroutine would wait for ever.
func (c *conn) discard(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	c.net.Close()
	go refuseAll(requests)
	for range channels {
	}
}

// open accepts a session channel and refuses any other.
func (c *conn) open(ctx context.Context, nc ssh.NewChannel) {
	switch {
	case nc.ChannelType() != "session":
		c.complain(slog.LevelInfo, "refused channel", "type", clip(nc.ChannelType(), maxLogged), "code", codeShell)
		nc.Reject(ssh.Prohibited, "nothing is forwarded here")
		return
	case c.srv.isDraining():
		nc.Reject(ssh.ConnectionFailed, "the server is stopping")
		return
	case !c.addChannel():
		c.srv.count.overLimit.Add(1)
		c.complain(slog.LevelWarn, "refused: too many sessions on one connection", "limit", maxChannels, "key", c.key.Name, "code", codeLimit)
		nc.Reject(ssh.ResourceShortage, "too many sessions on this connection")
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		c.removeChannel()
		return
	}
	// Clients send nothing there; what comes must not pile up.
	go io.Copy(io.Discard, ch.Stderr())
	go func() {
		defer c.removeChannel()
		defer c.recovered("session channel")
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

// begin and end note that a command runs.
func (c *conn) begin(x *Exec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[x] = time.Now()
}

func (c *conn) end(x *Exec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, x)
	c.unused = time.Now()
}

// idle is how long no command has run.
func (c *conn) idle() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) > 0 {
		return 0
	}
	return time.Since(c.unused)
}

// keepAlive takes the pulse of the connection in each interval.
func (c *conn) keepAlive(ctx context.Context) {
	tick := time.NewTicker(c.policy.KeepAlive)
	defer tick.Stop()
	p := pulse{conn: c}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !p.beat() {
			return
		}
	}
}

// pulse tells a connection that lives from a dead one.
type pulse struct {
	*conn
	asking atomic.Bool // a request is not answered yet
	seen   int64       // bytes received by the last interval's end
	missed int         // intervals since then
}

// beat ends an interval with a request, or the connection after three in which
// nothing arrived; then it returns false. Anything that arrives counts, not only
// the answer, which on a slow line comes behind the data under way. It also ends a
// connection that is not used.
func (p *pulse) beat() bool {
	p.net.budget.earn(idleCredit)
	if n := p.net.received.Load(); n != p.seen {
		p.seen, p.missed = n, 0
	} else if p.missed++; p.missed == missedKeepAlives {
		p.cut("connection timed out")
		return false
	}
	if p.idle() >= p.policy.Idle {
		p.cut("connection not used")
		return false
	}
	if p.asking.CompareAndSwap(false, true) {
		go func() { // waits for the answer or the connection's end
			p.ssh.SendRequest("keepalive@openssh.com", true, nil)
			p.asking.Store(false)
		}()
	}
	return true
}

func (c *conn) cut(why string) {
	c.srv.count.silent.Add(1)
	c.log.Warn(why, "key", c.key.Name)
	c.net.Close()
}
