package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rrserve/internal/rrtest"
)

// manager is the end of the socket that systemd has. It takes messages as they come:
// the server waits a second for one that does not, and then that message is lost.
type manager struct {
	t        *testing.T
	messages chan string
}

func newManager(t *testing.T, address string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &manager{t, make(chan string, 100_000)}
	go func() {
		defer close(m.messages)
		for message := make([]byte, 4096); ; {
			n, err := conn.Read(message)
			if err != nil {
				return
			}
			m.messages <- string(message[:n])
		}
	}()
	return m
}

// next is the next message but for those in skip.
func (m *manager) next(skip ...string) string {
	m.t.Helper()
	for late := time.After(rrtest.StartTimeout); ; {
		select {
		case text := <-m.messages:
			if !slices.Contains(skip, text) {
				return text
			}
		case <-late:
			m.t.Fatal("told nothing")
		}
	}
}

func (m *manager) expect(want string, skip ...string) {
	m.t.Helper()
	if got := m.next(skip...); got != want {
		m.t.Fatalf("told %q, want %q", got, want)
	}
}

const (
	idle  = "STATUS=Sessions running: 0"
	ready = "READY=1\n" + idle
	life  = "WATCHDOG=1"
)

// TestNotify is a life of the server as systemd is told of it, from behind the
// sandbox. An abstract socket is one more thing that Landlock keeps from being
// connected to.
func TestNotify(t *testing.T) {
	dir := rrtest.TempDir(t) // within reach of the user that root becomes
	bin := filepath.Join(dir, "rrserve")
	if err := rrtest.Build(bin); err != nil {
		t.Fatal(err)
	}
	if err := rrtest.NewKey(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	for name, socket := range map[string]string{
		"path": filepath.Join(dir, "notify"), "abstract": fmt.Sprintf("@rrserve-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) { notified(t, dir, bin, socket) })
	}
}

func notified(t *testing.T, dir, bin, socket string) {
	m := newManager(t, socket)
	cmd := exec.Command(bin, "--root", dir, "--state-dir", filepath.Join(dir, "state"), "--authorized-key", filepath.Join(dir, "key.pub"), "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=100000")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	m.expect(ready)
	address := listeningAt(t, stderr)
	go io.Copy(io.Discard, stderr)
	m.expect(life)
	m.expect(life)

	before := monotonic().Microseconds()
	cmd.Process.Signal(syscall.SIGHUP)
	var at int64
	if got := m.next(life); !strings.HasPrefix(got, "RELOADING=1\n") {
		t.Fatalf("told %q", got)
	} else if _, err := fmt.Sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%d", &at); err != nil || at < before || at > monotonic().Microseconds() {
		t.Errorf("%q between %d and %d: %v", got, before, monotonic().Microseconds(), err)
	}
	m.expect(ready, life)

	end := beginSession(t, address, filepath.Join(dir, "key"))
	m.expect("STATUS=Sessions running: 1", life)
	end()
	m.expect(idle, life)

	cmd.Process.Signal(syscall.SIGTERM)
	m.expect("STOPPING=1", life)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// listeningAt reads a log until it has the address, before which the sandbox has to
// stand.
func listeningAt(t *testing.T, log io.Reader) string {
	t.Helper()
	var seen strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		fmt.Fprintln(&seen, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), "msg=listening address="); ok {
			if !strings.Contains(seen.String(), `msg="the sandbox holds"`) {
				t.Errorf("no sandbox:\n%s", seen.String())
			}
			address, _, _ := strings.Cut(rest, " ")
			return address
		}
	}
	t.Fatalf("the server does not listen:\n%s", seen.String())
	return ""
}

// beginSession logs in and begins a pull in which nothing more is said.
func beginSession(t *testing.T, address, key string) (end func()) {
	t.Helper()
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: "me", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := session.Start("rsync --server --sender -logDtpr . ."); err != nil {
		t.Fatal(err)
	}
	return func() { client.Close() }
}

// A server that hangs gives no sign of life.
func TestNoSignOfLife(t *testing.T) {
	dir := t.TempDir()
	m := newManager(t, filepath.Join(dir, "notify"))
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	n := openNotifier(slog.New(slog.DiscardHandler))
	defer n.conn.Close()
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if _, ok := os.LookupEnv(name); ok {
			t.Errorf("%s is left for processes that the server starts", name)
		}
	}
	asked, answer, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer n.start(func() {
		for _, c := range []chan struct{}{asked, answer} {
			select {
			case c <- struct{}{}:
			case <-over:
			}
		}
	})()
	defer close(over)
	for range 2 {
		<-asked
		if n := len(m.messages); n > 0 {
			t.Errorf("%d messages before the server was found alive", n)
		}
		<-answer
		m.expect(life)
	}
}

func TestWatchdogInterval(t *testing.T) {
	self := fmt.Sprint(os.Getpid())
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
		ok        bool
	}{
		{"", "", 0, true},
		{"120000000", self, time.Minute, true},
		{"120000000", "", time.Minute, true},
		{"120000000", "1", 0, true}, // another's
		{"0", self, 0, false},
		{"1", self, 0, false},
		{"-5", self, 0, false},
		{"soon", self, 0, false},
		{"9223372036854775807", self, 0, false},
	} {
		got, err := watchdogInterval(tt.usec, tt.pid)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q for %q: %v, %v", tt.usec, tt.pid, got, err)
		}
	}
}

// A service manager that is not there keeps nobody from serving.
func TestNobodyToNotify(t *testing.T) {
	for _, socket := range []string{"", filepath.Join(t.TempDir(), "none")} {
		t.Setenv("NOTIFY_SOCKET", socket)
		var log bytes.Buffer
		n := openNotifier(slog.New(slog.NewTextHandler(&log, nil)))
		n.ready()
		n.start(nil)()
		if got, want := strings.Contains(log.String(), "cannot be told"), socket != ""; got != want {
			t.Errorf("NOTIFY_SOCKET=%q: %s", socket, log.String())
		}
	}
}
