package main

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"rrserve/internal/sshsrv"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpv8gUgfvjJ1DHnzAsToZ0OZboyXbV0gilsts3CkuHU me"

func TestClientCommand(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"[::]:2222", "rsync -azh --stats -e 'ssh -p 2222' rrserve@main:* /path/to/backup/"},
		{"0.0.0.0:22", "rsync -azh --stats rrserve@main:* /path/to/backup/"},
		{"10.1.2.3:22", "rsync -azh --stats rrserve@10.1.2.3:* /path/to/backup/"},
		{"[fd00::1]:2222", "rsync -azh --stats -e 'ssh -p 2222' rrserve@[fd00::1]:* /path/to/backup/"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := clientCommand(addr, "main"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.addr, got, tt.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{
		"RRSERVE_ROOT":            "/from/env",
		"RRSERVE_LISTEN":          ":3",
		"RRSERVE_AUTHORIZED_KEY":  "a.pub\n\n  b.pub\r\n",
		"RRSERVE_AUTHORIZED_KEYS": "inline",
		"RRSERVE_CIPHERS":         "x,y",
		"RRSERVE_DRAIN_TIME":      "90s",
		"RRSERVE_PORT":            "tcp://10.0.0.1:2222", // as Kubernetes sets it
	}
	var o options
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(f)
	if err := f.Parse([]string{"--listen", ":4"}); err != nil {
		t.Fatal(err)
	}
	if err := o.fromEnvironment(f, func(name string) (string, bool) { v, ok := env[name]; return v, ok }); err != nil {
		t.Fatal(err)
	}
	want := options{
		root: "/from/env", listen: ":4", authorizedKeys: []string{"a.pub", "b.pub"}, inlineKeys: "inline", inlineName: "RRSERVE_AUTHORIZED_KEYS",
		ciphers: []string{"x", "y"}, drainTime: 90 * time.Second,
		maxSessions: sshsrv.DefaultMaxSessions, maxPerKey: sshsrv.DefaultMaxSessionsPerKey,
		maxStartups: sshsrv.DefaultStartups.String(), loginGrace: sshsrv.DefaultLoginGrace, idleTimeout: sshsrv.DefaultIdle,
		readOnly: true, logFormat: "text", logLevel: "info",
	}
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeyOrFile(t *testing.T) {
	for _, tt := range []struct {
		value string
		key   bool
	}{
		{publicKey, true},
		{"restrict,no-pty " + publicKey, true},
		{"sk-ssh-ed25519@openssh.com AAAAGnNr", true},
		{"ecdsa-sha2-nistp256 AAAAE2Vj me", true},
		{"backup.pub", false},
		{"/home/me/my keys/ssh-ed25519 key.pub", false},
		{"", false},
	} {
		if got := keyLine.MatchString(tt.value); got != tt.key {
			t.Errorf("%q: is a key: %t", tt.value, got)
		}
	}
}

func TestReadKeyFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:        "not a regular file",
		big:         "larger than 1048576 bytes",
		dir + "/no": "no such file or directory",
	} {
		if _, err := readKeyFile(path, 0); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}

func TestMakeHostKeyOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", hostKeyName)
	var wg sync.WaitGroup
	var made atomic.Int32
	for range 8 {
		wg.Go(func() {
			ok, err := makeHostKey(path)
			if err != nil {
				t.Error(err)
			}
			if ok {
				made.Add(1)
			}
			if _, err := loadHostKeys(&options{hostKeys: []string{path}}, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err) // seen half written
			}
		})
	}
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("%d processes made the key", n)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// The way for file systems without hard links must not replace a key either.
func TestWriteExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := writeExclusive(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeExclusive(path, []byte("second"), 0o600); !os.IsExist(err) {
		t.Errorf("second write: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "first" {
		t.Errorf("content %q", data)
	}
}

func TestStateDirectory(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/systemd/a:/systemd/b")
	if got := (&options{stateDir: "/flag"}).stateDirectory(); got != "/flag" {
		t.Errorf("flag: %s", got)
	}
	if got := (&options{}).stateDirectory(); got != "/systemd/a" {
		t.Errorf("systemd: %s", got)
	}
	t.Setenv("STATE_DIRECTORY", "")
	t.Setenv("XDG_STATE_HOME", "/xdg")
	want := "/xdg/rrserve"
	if os.Geteuid() == 0 || takesFiles(systemStateDir) == nil {
		want = systemStateDir
	}
	if got := (&options{}).stateDirectory(); got != want {
		t.Errorf("default: %s, want %s", got, want)
	}
}

func TestIDNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	missing := newIDFile(path)
	if got := missing.Names()(0); got != "" {
		t.Errorf("without a file: %q", got)
	}
	write("root:x:0:0:root:/root:/bin/sh\n#c:x:5:5:::\n+::::::\nbad\nneg:x:-1:0:::\nbig:x:4294967296:0:::\nmax:x:4294967295:0:::\ntoor:x:0:0:::\n:x:7:7:::\n", time.Unix(1000, 0))
	f := newIDFile(path)
	names := f.Names()
	for id, want := range map[uint32]string{0: "root", 1: "", 5: "", 7: "", 4294967295: "max"} {
		if got := names(id); got != want {
			t.Errorf("id %d: got %q, want %q", id, got, want)
		}
	}
	write("new0:x:0:0:root:/root:/bin/sh\n", time.Unix(2000, 0))
	if got := f.Names()(0); got != "new0" {
		t.Errorf("after a change: %q", got)
	}
	if got := names(0); got != "root" {
		t.Errorf("a session's names changed to %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := f.Names()(0); got != "new0" {
		t.Errorf("after the file went: %q", got)
	}
	if got := missing.Names()(0); got != "" {
		t.Errorf("never seen: %q", got)
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "") // of whoever runs the tests
	var stderr strings.Builder
	code := run([]string{"--root", "a\nb", "--authorized-key", publicKey}, nil, &stderr)
	if got, want := stderr.String(), "rrserve: --root a b: no such file or directory\n"; got != want || code != exitConfig {
		t.Errorf("got %d, %q, want %q", code, got, want)
	}
}

func TestModuleName(t *testing.T) {
	for root, want := range map[string]string{
		"/": "root", "/data": "data", "/srv/My Files": "My Files", "/srv/#list": "root", "/srv/a\nb": "root", "/srv/..x": "..x",
	} {
		if got := moduleName(root); got != want {
			t.Errorf("%q: module %q, want %q", root, got, want)
		}
	}
}
