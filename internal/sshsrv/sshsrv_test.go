package sshsrv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hang is how long the tests wait for what comes at once, unless it never does: it
// ends a test that hangs, and no test that a busy machine holds up.
const hang = 2 * time.Minute

// lockedBuffer is a log that a test reads while the server writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testServer is a running server with a client's files beside it.
type testServer struct {
	t      testing.TB
	dir    string
	addr   *net.TCPAddr
	keys   string // authorized_keys, read at each login
	log    *lockedBuffer
	server *Server
	stop   context.CancelFunc
	served chan error
}

// forced gives the commands of rrsync.
func forced(command string) (grant any, err error) {
	if dir, ok := strings.CutPrefix(command, "rrsync -ro "); ok {
		return "only " + dir, nil
	}
	return nil, errors.New("no rrsync")
}

// start runs a server on a loopback port until the test ends. The key "ed25519"
// may log in.
func start(t testing.TB, h Handler, change func(*Config)) *testServer {
	t.Helper()
	dir := t.TempDir()
	s := &testServer{t: t, dir: dir, keys: filepath.Join(dir, "authorized_keys"), log: &lockedBuffer{}, served: make(chan error, 1)}
	s.authorize(s.keygen("ed25519", "ed25519"))

	private, public, err := GenerateHostKey("test")
	if err != nil {
		t.Fatal(err)
	}
	hostKey, err := ParseHostKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		HostKeys: []HostKey{hostKey},
		AuthorizedKeys: func() []AuthorizedKey {
			data, err := os.ReadFile(s.keys)
			if err != nil {
				t.Error(err)
			}
			keys, _ := ParseAuthorizedKeys(data)
			for i := range keys {
				keys[i].Forced = forced
			}
			return keys
		},
		Handler:     h,
		ShellAnswer: "only commands here",
		Log:         slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	if s.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().(*net.TCPAddr)
	s.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.addr.Port, public), 0o600)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.served <- s.server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		s.server.Close()
		if err := <-s.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if t.Failed() {
			t.Logf("server's log:\n%s", s.log)
		}
	})
	return s
}

func (s *testServer) write(name, text string, mode os.FileMode) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// keygen makes a key pair with ssh-keygen and returns the public key's line.
func (s *testServer) keygen(name, kind string, args ...string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-C", name + " key", "-t", kind, "-f", path}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		s.t.Fatal(err)
	}
	return string(line)
}

// authorize adds a line to the authorized keys.
func (s *testServer) authorize(line string) {
	s.t.Helper()
	old, _ := os.ReadFile(s.keys)
	s.write("authorized_keys", string(old)+line, 0o600)
}

// command is the OpenSSH client with the user's own configuration kept out.
func (s *testServer) command(program, key string, args ...string) *exec.Cmd {
	base := []string{
		"-F", "none",
		"-o", "UserKnownHostsFile=" + filepath.Join(s.dir, "known_hosts"),
		"-o", "GlobalKnownHostsFile=none",
		"-o", "StrictHostKeyChecking=yes",
		"-o", "IdentityFile=" + filepath.Join(s.dir, key),
		"-o", "IdentitiesOnly=yes",
		"-o", "IdentityAgent=none",
		"-o", "BatchMode=yes",
		"-o", fmt.Sprintf("Port=%d", s.addr.Port),
	}
	cmd := exec.Command(program, append(base, args...)...)
	cmd.Env = append(os.Environ(), "DISPLAY=127.0.0.1:9") // nobody's, for -X
	return cmd
}

// result is what a client's process left.
type result struct {
	Status         int
	Stdout, Stderr string
}

func (s *testServer) run(cmd *exec.Cmd) result {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	timer := time.AfterFunc(hang, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		s.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ssh runs one command as user "u" with the key "ed25519".
func (s *testServer) ssh(args ...string) result {
	s.t.Helper()
	return s.run(s.command("ssh", "ed25519", args...))
}

// echo says what it got: a handler for tests about the way to it.
func echo(_ context.Context, x *Exec) int {
	fmt.Fprintf(x.Stdout, "%s %s %q %s", x.Command, x.User, x.Key.Name, x.Key.Type)
	return 0
}

func cat(_ context.Context, x *Exec) int {
	if _, err := io.CopyBuffer(struct{ io.Writer }{x.Stdout}, struct{ io.Reader }{x.Stdin}, make([]byte, 32768)); err != nil {
		return 1
	}
	return 0
}

func (s *testServer) wantLog(parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(s.log.String(), part) {
			s.t.Errorf("log lacks %q", part)
		}
	}
}

// waitLog waits until the log has a part.
func (s *testServer) waitLog(part string) {
	s.t.Helper()
	deadline := time.Now().Add(hang)
	for !strings.Contains(s.log.String(), part) {
		if time.Now().After(deadline) {
			s.t.Fatalf("log lacks %q", part)
		}
		time.Sleep(time.Millisecond)
	}
}

// waitMatch waits until the log has a match.
func (s *testServer) waitMatch(expr string) {
	s.t.Helper()
	re := regexp.MustCompile(expr)
	deadline := time.Now().Add(hang)
	for !re.MatchString(s.log.String()) {
		if time.Now().After(deadline) {
			s.t.Fatalf("log lacks %s", expr)
		}
		time.Sleep(time.Millisecond)
	}
}

// waitStats waits until the server's numbers are as they should be.
func (s *testServer) waitStats(ok func(Stats) bool) {
	s.t.Helper()
	for deadline := time.Now().Add(hang); !ok(s.server.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%+v", s.server.Stats())
		}
	}
}

// conns are the connections that the server has.
func (s *testServer) conns() []*conn {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return slices.Collect(maps.Keys(s.server.conns))
}

func (s *testServer) read(name string) []byte {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// freeze stops a client's process without closing its connection.
func freeze(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
