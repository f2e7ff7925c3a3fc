package rrtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Host is the name under which ssh and rsync reach a [Server]: a source is
// written "rr:path".
const Host = "rr"

// StartTimeout bounds the time from starting a server to its listening line, and
// that which it takes to end, as RunTimeout does the runs of clients.
const StartTimeout = 2 * time.Minute

// Server is a running SSH server that serves Root to the key it was started
// with.
type Server struct {
	Name    string      // "rrserve" or "sshd"
	Root    string      // the directory served
	Addr    string      // "127.0.0.1:PORT", or as --listen has it
	Process *os.Process // the listening process
	// SSHConfig is an ssh_config(5) file in which Host is this server and
	// the authorized key its only identity.
	SSHConfig string

	cmd  *exec.Cmd
	mux  *exec.Cmd // the shared connection of Multiplex, or nil
	log  logBuffer
	done chan struct{} // closed when the process was waited for
	dir  string        // keys, configuration, state
}

// Option changes how a server is started.
type Option func(*config)

type config struct {
	uid    int      // user to serve as, when uid is not -1
	args   []string // further rrserve flags
	rrsync bool     // confine the sshd reference with rrsync -ro
	forced bool     // sshd runs rrserve -ro
	binary string   // rrserve binary
	under  []string // command that runs rrserve
}

// AsUser makes the server read the tree as the user and group id, without
// supplementary groups. Only root can do that.
func AsUser(id int) Option { return func(c *config) { c.uid = id } }

// WithArgs appends flags to the rrserve command line; to that of [Forced], words
// of rrsync.
func WithArgs(args ...string) Option {
	return func(c *config) { c.args = append(c.args, args...) }
}

// WithRrsync puts rrsync -ro between sshd and rsync.
func WithRrsync() Option { return func(c *config) { c.rrsync = true } }

// WithBinary runs this rrserve binary in place of one built from the module.
func WithBinary(name string) Option { return func(c *config) { c.binary = name } }

// Under runs rrserve by a command to whose end its own command line is added.
// The command becomes that process, as env and strace -D do.
func Under(command ...string) Option { return func(c *config) { c.under = command } }

func newConfig(opts []Option) *config {
	c := &config{uid: -1}
	for _, o := range opts {
		o(c)
	}
	return c
}

// Log returns what the server wrote to its standard error so far.
func (s *Server) Log() string { return s.log.String() }

// Multiplex opens one connection that all clients of this server share from
// now on, so that each run costs a session, not a key exchange. It is for a
// reference that answers hundreds of command lines; a server under test gets
// real connections.
func (s *Server) Multiplex() error {
	socket := filepath.Join(s.dir, "mux")
	s.mux = exec.Command("ssh", "-F", s.SSHConfig, "-N", "-M", "-S", socket, Host)
	if err := s.mux.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(StartTimeout); ; time.Sleep(20 * time.Millisecond) {
		if exec.Command("ssh", "-F", s.SSHConfig, "-S", socket, "-O", "check", Host).Run() == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no shared connection to %s within %v", s.Name, StartTimeout)
		}
	}
	return s.writeSSHConfig(s.SSHConfigFor(s.clientKey()) + "  ControlPath " + socket + "\n")
}

// Stop ends the server and waits for it. It may be called more than once.
func (s *Server) Stop() {
	if s.mux != nil && s.mux.ProcessState == nil {
		s.mux.Process.Kill()
		s.mux.Wait()
	}
	s.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(StartTimeout):
		s.Process.Kill()
		<-s.done
	}
	os.RemoveAll(s.dir)
}

// prepare makes the server's folder with the client's key in it.
func prepare(name, root string) (*Server, error) {
	dir, err := os.MkdirTemp("", "rrtest-"+name+"-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	s := &Server{Name: name, Root: root, dir: dir, done: make(chan struct{})}
	return s, NewKey(s.clientKey())
}

func (s *Server) clientKey() string { return filepath.Join(s.dir, "client_key") }

// start runs cmd and waits until found, given each line of its standard error,
// returns an address.
func (s *Server) start(cmd *exec.Cmd, found func(line string) (addr string)) error {
	s.cmd = cmd
	listening := make(chan string, 1)
	s.log.onLine = func(line string) {
		if addr := found(line); addr != "" {
			select {
			case listening <- addr:
			default:
			}
		}
	}
	cmd.Stderr = &s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.Process = cmd.Process
	go func() {
		cmd.Wait()
		close(s.done)
	}()
	select {
	case s.Addr = <-listening:
		return s.writeSSHConfig(s.SSHConfigFor(s.clientKey()))
	case <-s.done:
		return fmt.Errorf("%s ended before it listened:\n%s", s.Name, s.Log())
	case <-time.After(StartTimeout):
		s.Stop()
		return fmt.Errorf("%s did not listen within %v:\n%s", s.Name, StartTimeout, s.Log())
	}
}

// SSHConfigFor returns an ssh_config(5) that reaches the server with the
// private key file key.
func (s *Server) SSHConfigFor(key string) string {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		panic(err) // start has found it
	}
	return strings.Join([]string{
		"Host " + Host,
		"  HostName " + host,
		"  Port " + port,
		"  User " + userName(),
		"  IdentityFile " + key,
		"  IdentitiesOnly yes",
		"  IdentityAgent none",
		"  BatchMode yes",
		"  StrictHostKeyChecking accept-new",
		"  UserKnownHostsFile " + filepath.Join(s.dir, "known_hosts"),
		"  GlobalKnownHostsFile /dev/null",
		"  LogLevel ERROR",
		"",
	}, "\n")
}

func (s *Server) writeSSHConfig(text string) error {
	s.SSHConfig = filepath.Join(s.dir, "ssh_config")
	return os.WriteFile(s.SSHConfig, []byte(text), 0o644)
}

// WithKey returns a view of the server whose client logs in with another
// private key file.
func (s *Server) WithKey(t testing.TB, key string) *Server {
	t.Helper()
	return s.Via(t, s.Addr, key)
}

// Via is [Server.WithKey] for a client that reaches the server at another address.
func (s *Server) Via(t testing.TB, addr, key string) *Server {
	t.Helper()
	other := &Server{Name: s.Name, Root: s.Root, Addr: addr, Process: s.Process, dir: t.TempDir()}
	if err := other.writeSSHConfig(other.SSHConfigFor(key)); err != nil {
		t.Fatal(err)
	}
	return other
}

// keep stops the server when the test ends and shows its log when it failed.
func keep(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		if s != nil && s.Process != nil {
			s.Stop()
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.Name, tail(s.Log(), 4000))
		}
	})
	return s
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}

func lookTool(name, pkg string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", errors.Join(fmt.Errorf("%s is needed; install the package %s (test/deps.sh does)", name, pkg), err)
	}
	return filepath.Abs(p)
}

// logBuffer collects a process's standard error and shows each complete line
// to onLine.
type logBuffer struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	seen   int // bytes of buf already shown to onLine
	onLine func(string)
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p)
	for {
		line, _, ok := bytes.Cut(l.buf.Bytes()[l.seen:], []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.seen += len(line) + 1
		l.onLine(string(line))
	}
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
