package test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
	"rrserve/internal/status"
)

// checked is a server, and what rrserve check is told about it.
type checked struct {
	dir, root, key, state string
	server                *rrtest.Server
}

// newChecked serves a small tree. Root serves as nobody, who cannot read all.
func newChecked(t *testing.T) *checked {
	t.Helper()
	dir := rrtest.TempDir(t)
	c := &checked{dir: dir, root: filepath.Join(dir, "tree"), key: filepath.Join(dir, "key"), state: filepath.Join(dir, "state")}
	check(t, os.MkdirAll(filepath.Join(c.root, "sub/deep"), 0o755))
	check(t, os.WriteFile(filepath.Join(c.root, "a"), []byte("hello\n"), 0o644))
	check(t, os.WriteFile(filepath.Join(c.root, "sub/deep/b"), make([]byte, 100_000), 0o444))
	check(t, os.Symlink("a", filepath.Join(c.root, "link")))
	check(t, rrtest.NewKey(c.key))
	c.server = rrtest.Rrserve(t, c.root, rrtest.WithArgs(c.args("--state-dir", c.state, "--read-all=false", "--metrics-listen", "127.0.0.1:0")...))
	return c
}

func (c *checked) args(more ...string) []string {
	return append([]string{"--authorized-key", c.key + ".pub"}, more...)
}

// run runs rrserve check --pull with the server's address and host key.
func (c *checked) run(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	return runRrserve(t, append(append([]string{"check"}, c.args("--root", c.root, "--state-dir", c.state, "--identity", c.key,
		"--pull", "--listen", c.server.Addr)...), args...)...)
}

// runRrserve runs the binary under test to its end.
func runRrserve(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	binary, err := rrtest.Binary()
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), rrtest.RunTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"TMPDIR=" + os.TempDir()}
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("rrserve %q hangs:\n%s", args, text)
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// wantFound compares a report with what it must say, as regular expressions for
// whole lines, and its exit status.
func wantFound(t *testing.T, out string, code, wantCode int, lines ...string) {
	t.Helper()
	if code != wantCode {
		t.Errorf("exit status %d, want %d", code, wantCode)
	}
	for _, line := range lines {
		if !regexp.MustCompile(`(?m)^ *` + line + `$`).MatchString(out) {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func TestCheckPull(t *testing.T) {
	c := newChecked(t)
	out, code := c.run(t)
	wantFound(t, out, code, 0,
		regexp.QuoteMeta(c.root)+` +files 2 +directories 3 +unreadable 0`,
		`login +SHA256:\S+ +the client \(unnamed\) of `+regexp.QuoteMeta(c.key)+`.pub:1`,
		`arrived +files 2, bytes 100006`,
		`no problems`)
	m := httpAddress.FindStringSubmatch(c.server.Log())
	if m == nil {
		t.Fatal("no HTTP address in the log")
	}
	if w := (&watched{c.server, t, "http://" + m[1]}); w.after(status.DryRun, 1) {
		t.Error("a trial counts as a complete pull")
	}
	out, code = c.run(t, "--pull=sub/deep/")
	wantFound(t, out, code, 0, `arrived +files 1, bytes 100000`, `no problems`)
	out, code = c.run(t, "--pull=it's missing")
	wantFound(t, out, code, 1, `problem: the server said: ".*link_stat .*/it's missing.* failed: No such file or directory \(2\)"`, `1 problem`)
}

func TestCheckFindsTheUnreadable(t *testing.T) {
	c := newChecked(t)
	check(t, os.WriteFile(filepath.Join(c.root, "sub/secret\n"), []byte("x"), 0))
	check(t, os.Mkdir(filepath.Join(c.root, "closed"), 0))
	out, code := c.run(t)
	wantFound(t, out, code, 1,
		`problem: "/sub/secret\\n": permission denied`,
		`problem: "/closed": permission denied`,
		regexp.QuoteMeta(c.root)+` +files 2 +directories 3 +unreadable 2`,
		`problem: the server said: ".*opendir .*/closed.* failed: Permission denied \(13\)"`,
		`problem: the server said: ".*send_files failed to open .*/sub/secret.*: Permission denied \(13\)"`,
		`arrived +files 2, bytes 100006`,
		`4 problems`)
}

func TestCheckFindsAMissingRoot(t *testing.T) {
	c := newChecked(t)
	check(t, os.Rename(c.root, c.root+".gone"))
	out, code := c.run(t)
	wantFound(t, out, code, 1,
		`problem: --root `+regexp.QuoteMeta(c.root)+`: no such file or directory`,
		`problem: the server said: "rrserve: the served directory cannot be opened, see the server's log"`,
		`2 problems`)
}

func TestCheckFindsAKeyThatMatchesNothing(t *testing.T) {
	c := newChecked(t)
	stranger := filepath.Join(c.dir, "stranger")
	check(t, rrtest.NewKey(stranger))
	out, code := c.run(t, "--identity", stranger)
	wantFound(t, out, code, 1,
		`problem: `+regexp.QuoteMeta(c.server.Addr)+` does not let the key SHA256:\S+ in, which is in none of the lists of keys .*`,
		`1 problem`)
}

// A file of --keys-dir is opened at each login, as the user that the server has
// become: root, who looks, can read it. The directory is needed from the start.
func TestCheckFindsKeysOutOfReach(t *testing.T) {
	c := newChecked(t)
	pub, err := os.ReadFile(c.key + ".pub")
	check(t, err)
	keys := filepath.Join(c.dir, "keys.d")
	check(t, os.Mkdir(keys, 0o755))
	check(t, os.WriteFile(filepath.Join(keys, "mars.pub"), pub, 0))
	out, code := c.run(t, "--keys-dir", keys)
	wantFound(t, out, code, 1, `problem: `+regexp.QuoteMeta(keys)+`/mars.pub: permission denied.*`, `1 problem`)
	check(t, os.Chmod(keys, 0))
	out, code = runRrserve(t, "--root", c.root, "--keys-dir", keys, "--state-dir", c.state, "--listen", "127.0.0.1:0")
	wantFound(t, out, code, 78, `rrserve: --keys-dir `+regexp.QuoteMeta(keys)+`: permission denied.*`)
}

func TestCheckFindsAStoppedServer(t *testing.T) {
	c := newChecked(t)
	c.server.Stop()
	nobody := closedPort(t) // not the server's own, which may be another's by now
	for _, command := range [][]string{
		{"check", "--root", c.root, "--authorized-key", c.key + ".pub", "--identity", c.key, "--pull"},
		{"healthcheck"},
	} {
		out, code := runRrserve(t, append(command, "--state-dir", c.state, "--listen", nobody)...)
		wantFound(t, out, code, 1, `(problem|rrserve): `+regexp.QuoteMeta(nobody)+
			`: nothing listens there: the server is stopped \(.*\), or listens on another address \(--listen, --address\)`)
	}
}

// closedPort is an address that nobody listens on, nor can until the test ends.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	addr, err := unix.Getsockname(fd)
	check(t, err)
	return fmt.Sprintf("127.0.0.1:%d", addr.(*unix.SockaddrInet4).Port)
}

// A server that is not ours is not pulled from.
func TestCheckKnowsTheHostKey(t *testing.T) {
	c := newChecked(t)
	check(t, rrtest.NewKey(filepath.Join(c.dir, "host")))
	for _, command := range [][]string{
		{"check", "--root", c.root, "--authorized-key", c.key + ".pub", "--identity", c.key, "--pull"},
		{"healthcheck"},
	} {
		out, code := runRrserve(t, append(command, "--host-key", filepath.Join(c.dir, "host"), "--listen", c.server.Addr)...)
		wantFound(t, out, code, 1, `(problem|rrserve): `+regexp.QuoteMeta(c.server.Addr)+
			`: another server listens there: its host key is SHA256:\S+, and that of \S+/host is SHA256:\S+`)
	}
	if log := c.server.Log(); strings.Contains(log, "Accepted") {
		t.Errorf("a client logged in:\n%s", log)
	}
}

func TestHealthcheck(t *testing.T) {
	c := newChecked(t)
	out, code := runRrserve(t, "healthcheck", "--state-dir", c.state, "--listen", c.server.Addr)
	wantFound(t, out, code, 0)
	if out != "" {
		t.Errorf("it says %q", out)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer silent.Close()
	out, code = runRrserve(t, "healthcheck", "--listen", silent.Addr().String())
	wantFound(t, out, code, 1, `rrserve: `+regexp.QuoteMeta(silent.Addr().String())+`: .*i/o timeout`)
	m := httpAddress.FindStringSubmatch(c.server.Log())
	if m == nil {
		t.Fatal("no HTTP address in the log")
	}
	out, code = runRrserve(t, "healthcheck", "--metrics-listen", m[1], "--listen", silent.Addr().String())
	wantFound(t, out, code, 0)
}

// hostileServer speaks SSH and answers a pull with these bytes.
func hostileServer(t *testing.T, hostKey string, stream []byte) (address string) {
	t.Helper()
	data, err := os.ReadFile(hostKey)
	check(t, err)
	signer, err := ssh.ParsePrivateKey(data)
	check(t, err)
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_, channels, requests, err := ssh.NewServerConn(nc, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for c := range channels {
			ch, requests, err := c.Accept()
			if err != nil {
				return
			}
			for r := range requests {
				r.Reply(true, nil)
				ch.Write(stream)
				ch.CloseWrite()
				io.Copy(io.Discard, ch)
				ch.Close()
			}
		}
	}()
	return l.Addr().String()
}

// What makes the client of gokrazy/rsync panic is an error of one line.
func TestCheckSurvivesAHostileServer(t *testing.T) {
	dir := rrtest.TempDir(t)
	host, key := filepath.Join(dir, "host"), filepath.Join(dir, "key")
	check(t, rrtest.NewKey(host))
	check(t, rrtest.NewKey(key))
	check(t, os.Mkdir(filepath.Join(dir, "tree"), 0o755))
	word := func(words ...int32) (b []byte) {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, uint32(w))
		}
		return b
	}
	frame := func(tag int32, data ...byte) []byte { return append(word((7+tag)<<24|int32(len(data))), data...) }
	file := []byte{1, 1, 'a', 1, 0, 0, 0, 0, 0, 0, 0, 0xa4, 0x81, 0, 0}                     // one byte long, at time 0, a regular file
	list := func(files ...byte) []byte { return frame(0, append(files, 0, 0, 0, 0, 0)...) } // and no error
	for name, tt := range map[string]struct{ stream, want string }{
		"file beyond the list":  {string(list()) + string(frame(0, word(99)...)), `the server sent file number 99; allowed are those of the list, which has 0`},
		"both in one frame":     {string(frame(0, append([]byte{0}, word(0, 99)...)...)), `the server sent file number 99; allowed are those of the list, which has 0`},
		"negative file":         {string(list()) + string(frame(0, word(-2)...)), `the server sent file number -2; allowed are those of the list, which has 0`},
		"block of its own copy": {string(list(file...)) + string(frame(0, word(0, 1, -5, 2, 0, -1)...)), `the server sent data of length -1; allowed are 0 to 1048576 bytes`},
		"too much at once":      {string(list(file...)) + string(frame(0, word(0, 0, 0, 0, 0, 1<<30)...)), `the server sent data of length 1073741824; allowed are 0 to 1048576 bytes`},
		"long name":             {string(frame(0, append([]byte{1 << 6}, word(1<<30)...)...)), `the server sent a name of 1073741824 bytes; allowed are 4096`},
		"tag below all":         {string(word(3<<24 | 5)), `the server sent a frame with tag 3 and 5 bytes; .*`},
		"huge frame":            {string(word(7<<24 | 0xffffff)), `the server sent a frame with tag 7 and 16777215 bytes; .*`},
		"many complaints":       {strings.Repeat(string(frame(1, []byte("no")...)), 1000), `and said 980 more`},
		"no rsync":              {"Welcome to this machine!\n", ``},
	} {
		t.Run(name, func(t *testing.T) {
			address := hostileServer(t, host, append(word(27, 1), tt.stream...))
			out, code := runRrserve(t, "check", "--root", filepath.Join(dir, "tree"), "--authorized-key", key+".pub",
				"--identity", key, "--pull", "--host-key", host, "--listen", address)
			wantFound(t, out, code, 1, `problem: .*`+tt.want, `\d+ problems?`)
			if strings.Contains(out, "goroutine ") {
				t.Errorf("a trace:\n%s", out)
			}
		})
	}
}
