package sshsrv

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Limits that are not configurable.
const (
	// maxChannels is the number of sessions open at once on one connection
	// (sshd_config MaxSessions, same default).
	maxChannels = 10
	// maxCommand is the longest command line accepted, in bytes: Linux passes
	// no longer one to a shell (MAX_ARG_STRLEN).
	maxCommand = 128 << 10
	// maxUser is the longest user name let in, in bytes; Linux has 32.
	maxUser = 256
	// connsPerSession is the number of logged-in connections for each session that
	// is allowed: clients that are refused a session are told so on theirs.
	connsPerSession = 2
	// maxComplaints bounds the lines in the log about what one connection asked for
	// in vain.
	maxComplaints = 20
	// missedKeepAlives is the number of intervals in which nothing at all
	// arrived after which a connection is taken for dead.
	missedKeepAlives = 3
	// closeGrace is how long a handler may go on after its channel was closed
	// before its connection is cut.
	closeGrace = 5 * time.Second
	// lingerDraining is how long a client may take to hang up after its last
	// session ended while the server is stopping.
	lingerDraining = time.Second
	// maxAcceptDelay bounds the pause after an accept that failed, for example
	// because file descriptors ran out.
	maxAcceptDelay = time.Second
)

// Defaults for the zero values of [Config].
const (
	DefaultLoginGrace        = 60 * time.Second
	DefaultKeepAlive         = 60 * time.Second
	DefaultDrain             = 30 * time.Second
	DefaultIdle              = time.Hour
	DefaultMaxAuthTries      = 6 // sshd_config MaxAuthTries
	DefaultMaxSessions       = 512
	DefaultMaxSessionsPerKey = 256
)

// Exit statuses that this package chooses itself. A handler may use any.
const (
	// StatusRefused ends a request for a shell.
	StatusRefused = 1
	// StatusBusy ends a command for which no session slot is free.
	StatusBusy = 5
	// StatusPanic ends a command whose handler panicked.
	StatusPanic = 13
)

// Codes of what is refused here, stable names for logs and for searching.
const (
	codeLimit = "E-LIMIT" // more at once than is allowed
	codeShell = "E-SHELL" // anything but a command
)

// Handler runs one command and returns its exit status. The context ends when
// the client closes the channel or disconnects, with a cause that says so, or the
// server stops; Stdin, Stdout and Stderr fail soon after, so a handler that reads or
// writes ends by itself. A panic in the handler's own goroutine ends its session only, and is
// counted.
type Handler func(ctx context.Context, x *Exec) (status int)

// Exec is a command that an authenticated client asked to run.
type Exec struct {
	Command       string // as sent; any bytes, at most 128 KiB
	User          string // as sent; any bytes
	Key           AuthorizedKey
	Remote        netip.AddrPort // zero if the listener is not a TCP one
	ClientVersion string         // "SSH-2.0-...", at most 255 bytes

	// Stdin is what the client sends. io.EOF means that it sent its end or
	// went away; the context tells which.
	Stdin io.Reader
	// Stdout and Stderr go to the client. A Write of up to 32768 bytes is one
	// SSH packet, sent before Write returns. Each is for one goroutine at a
	// time; the two may be used at once.
	Stdout, Stderr io.Writer

	// Abort closes the channel: Stdin, Stdout and Stderr fail and the context
	// ends. The client then sees no exit status.
	Abort func()
}

// Config says who may log in and what is run.
type Config struct {
	// HostKeys are the server's own keys, at most one of each type. None is an
	// error of New.
	HostKeys []HostKey
	// AuthorizedKeys returns the keys that may log in. It is called at each
	// attempt, from several goroutines. A nil or empty result lets nobody in.
	AuthorizedKeys func() []AuthorizedKey
	// Handler runs the commands.
	Handler Handler
	// ShellAnswer is written to a client that asks for a shell or a
	// subsystem, one line without its newline.
	ShellAnswer string
	// AckNow has what arrived on a connection acknowledged at once. It is called
	// after each reading until the client is logged in; nil: the system decides.
	// ssh sends its part of the key exchange in several small packets and holds
	// each back until the one before is acknowledged (Nagle), while the system
	// holds an acknowledgement back for an answer that it could go with: on Linux
	// 40 ms, twice in each login.
	AckNow func(net.Conn)
	// Log receives what happens before and beside a command; nil discards it.
	Log *slog.Logger

	Policy
}

// Policy is the part of a [Config] that may change while the server runs. Zero
// limits mean the defaults.
type Policy struct {
	// User is the only user name accepted; "" accepts any, the key decides.
	User string
	// Ciphers is what is offered; see CheckCiphers. Empty means AES-GCM, and
	// chacha20-poly1305 to clients other than OpenSSH.
	Ciphers []string

	LoginGrace        time.Duration // from accept to authenticated
	KeepAlive         time.Duration // between keepalive requests
	Idle              time.Duration // after which a connection without a running command is closed
	Drain             time.Duration // for sessions to end after Serve's context did
	Startups          Startups      // connections before login, all addresses
	MaxAuthTries      int           // per connection
	MaxSessions       int           // commands running at once, all connections
	MaxSessionsPerKey int           // of these, by one key; more than MaxSessions has no effect
	// ProxyFrom are those who have to say in front of each connection whom it is
	// from, by the PROXY protocol; nil: nobody. Of all others that is not believed.
	ProxyFrom AddressList
	// NoPenalties lets sources go on that only fail to log in.
	NoPenalties bool
}

// Server serves SSH connections. Make one with [New].
type Server struct {
	cfg         Config // but for its Policy
	policy      atomic.Pointer[Policy]
	ssh         ssh.ServerConfig // without what each connection adds
	startups    *startups
	penalties   *penalties
	connections *seats // of clients that logged in
	sessions    *seats // of running commands
	count       counters

	droppedLine, refusedLine seldom

	closed    chan struct{} // closed by Close
	closeOnce sync.Once

	mu       sync.Mutex
	draining bool
	conns    map[*conn]struct{}
	wg       sync.WaitGroup // one per entry of conns
}

// New checks the configuration and returns a server that [Server.Serve] starts.
func New(cfg Config) (*Server, error) {
	switch {
	case len(cfg.HostKeys) == 0:
		return nil, errors.New("no host key")
	case cfg.AuthorizedKeys == nil:
		return nil, errors.New("no authorized keys")
	case cfg.Handler == nil:
		return nil, errors.New("no handler")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:         cfg,
		startups:    newStartups(),
		penalties:   newPenalties(),
		connections: newSeats(),
		sessions:    newSeats(),
		closed:      make(chan struct{}),
		conns:       make(map[*conn]struct{}),
	}
	s.ssh = ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: keyExchanges,
			MACs:         macs,
		},
		PublicKeyAuthAlgorithms: userKeyAlgorithms,
		ServerVersion:           "SSH-2.0-rrserve",
	}
	for _, k := range cfg.HostKeys {
		if k.signer == nil {
			return nil, errors.New("empty host key")
		}
		s.ssh.AddHostKey(k.signer)
	}
	if err := s.SetPolicy(cfg.Policy); err != nil {
		return nil, err
	}
	return s, nil
}

// SetPolicy replaces the policy. Connections that are there go on with the one
// that they began with, but count towards the new limits. An error leaves the old
// policy in place.
func (s *Server) SetPolicy(p Policy) error {
	if err := CheckCiphers(p.Ciphers); err != nil {
		return err
	}
	p.setDefaults()
	s.policy.Store(&p)
	s.startups.allow(p.Startups)
	s.connections.allow(connsPerSession*p.MaxSessions, connsPerSession*p.MaxSessionsPerKey)
	s.sessions.allow(p.MaxSessions, p.MaxSessionsPerKey)
	return nil
}

func (p *Policy) setDefaults() {
	p.LoginGrace = positive(p.LoginGrace, DefaultLoginGrace)
	p.KeepAlive = positive(p.KeepAlive, DefaultKeepAlive)
	p.Idle = positive(p.Idle, DefaultIdle)
	p.Drain = positive(p.Drain, DefaultDrain)
	p.MaxAuthTries = positive(p.MaxAuthTries, DefaultMaxAuthTries)
	p.MaxSessions = positive(p.MaxSessions, DefaultMaxSessions)
	p.MaxSessionsPerKey = positive(p.MaxSessionsPerKey, DefaultMaxSessionsPerKey)
	if p.Startups == (Startups{}) {
		p.Startups = DefaultStartups
	}
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Serve accepts connections from ln until ctx ends, and then waits at most
// Policy.Drain for the running commands. It closes ln, and returns nil when it
// was stopped and an error when ln failed. It may be called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	commands, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer ln.Close()
	accepting, stopAccepting := context.WithCancel(ctx)
	defer stopAccepting()
	context.AfterFunc(accepting, func() { ln.Close() })
	go func() {
		select {
		case <-s.closed:
			stopAccepting()
		case <-accepting.Done():
		}
	}()

	err := s.accept(accepting, commands, ln)
	s.drain(stop)
	return err
}

// Close makes Serve return without waiting for running commands.
func (s *Server) Close() { s.closeOnce.Do(func() { close(s.closed) }) }

func (s *Server) accept(accepting, commands context.Context, ln net.Listener) error {
	delay := time.Duration(0)
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			delay = 0
			if c := newConn(s, nc); s.admit(accepting, c) {
				s.start(commands, c)
			}
			continue
		case accepting.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		delay = min(max(2*delay, 5*time.Millisecond), maxAcceptDelay)
		s.cfg.Log.Warn("accepting a connection failed", "err", err, "retry", delay)
		select {
		case <-accepting.Done():
			return nil
		case <-time.After(delay):
		}
	}
}

// admit decides about a new connection, and waits for its place if need be.
func (s *Server) admit(accepting context.Context, c *conn) bool {
	s.count.accepted.Add(1)
	now := time.Now()
	if s.refuses(c, now) {
		return false
	}
	for {
		dropped, wait := s.startups.enter(c, now)
		if dropped != nil {
			s.drop(dropped, now)
		}
		if wait == 0 {
			return true
		}
		select {
		case <-s.startups.freed:
		case <-time.After(wait):
		case <-accepting.Done():
			c.net.Close()
			return false
		}
		now = time.Now()
	}
}

// refuses turns a connection away whose source has a penalty.
func (s *Server) refuses(c *conn, now time.Time) bool {
	left := s.penalties.left(c.source, now)
	if left == 0 || c.policy.NoPenalties {
		return false
	}
	s.count.refused.Add(1)
	if n := s.refusedLine.due(now); n > 0 {
		c.log.Warn(c.dropped(s.startups.len(), "penalty"), "seconds", left.Seconds(), "connections", n)
	}
	c.turnAway("Not allowed at this time")
	return true
}

// drop ends a connection that lost its place before login.
func (s *Server) drop(c *conn, now time.Time) {
	s.count.dropped.Add(1)
	if n := s.droppedLine.due(now); n > 0 {
		c.log.Warn(c.dropped(s.startups.len(), "past MaxStartups"), "startups", s.policy.Load().Startups.String(), "connections", n)
	}
	c.net.Close()
}

// penalize adds to the penalty of a source.
func (s *Server) penalize(c *conn, d time.Duration) {
	if !c.policy.NoPenalties {
		s.penalties.add(c.source, d, time.Now())
	}
}

// start gives a new connection its goroutine. A panic there ends that connection
// only; those of x/crypto's own goroutines are out of reach.
func (s *Server) start(ctx context.Context, c *conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		defer func() {
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
		defer c.recovered("connection")
		c.serve(ctx)
	}()
}

// drain ends what was started: connections without a command at once, commands
// when Policy.Drain is over, and all when Close is called.
func (s *Server) drain(stop context.CancelFunc) {
	s.mu.Lock()
	s.draining = true
	for c := range s.conns {
		c.closeIfIdle()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	wait := s.policy.Load().Drain
	select {
	case <-done:
		return
	case <-time.After(wait):
		s.cfg.Log.Warn("stopping: commands still running are cut", "waited", wait)
	case <-s.closed:
	}
	stop()
	s.mu.Lock()
	for c := range s.conns {
		c.net.Close()
	}
	s.mu.Unlock()
	// A handler may hang in the file system, out of reach of its context.
	select {
	case <-done:
	case <-time.After(closeGrace):
	}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
