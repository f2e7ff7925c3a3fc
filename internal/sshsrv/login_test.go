package sshsrv

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

func TestLoginByKeyType(t *testing.T) {
	s := start(t, echo, nil)
	for _, tt := range []struct {
		kind     string
		args     []string
		wantType string
	}{
		{"ed25519", nil, "ED25519"},
		{"rsa", []string{"-b", "2048"}, "RSA"},
		{"ecdsa", []string{"-b", "256"}, "ECDSA"},
		{"ecdsa", []string{"-b", "384"}, "ECDSA"},
		{"ecdsa", []string{"-b", "521"}, "ECDSA"},
	} {
		name := tt.kind + strings.Join(tt.args, "")
		s.authorize(s.keygen(name+"x", tt.kind, tt.args...))
		got := s.run(s.command("ssh", name+"x", "u@127.0.0.1", "hello"))
		want := result{Stdout: fmt.Sprintf("hello u %q %s", name+"x key", tt.wantType)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWrongKey(t *testing.T) {
	s := start(t, echo, nil)
	s.keygen("other", "ed25519")
	got := s.run(s.command("ssh", "other", "root@127.0.0.1", "hello"))
	want := result{255, "", "root@127.0.0.1: Permission denied (publickey).\r\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.waitMatch(`msg="Failed publickey for root from 127\.0\.0\.1 port (\d+) ssh2: ED25519 (SHA256:\S+)" from=127\.0\.0\.1 port=\d+ user=root type=ED25519 fingerprint=SHA256:\S+\n`)
	s.waitMatch(`msg="Connection closed by authenticating user root 127\.0\.0\.1 port \d+ \[preauth\]" from=127\.0\.0\.1 port=\d+ user=root\n`)
}

func TestWeakRSAKey(t *testing.T) {
	s := start(t, echo, nil)
	s.authorize(s.keygen("weak", "rsa", "-b", "1024"))
	if got := s.run(s.command("ssh", "weak", "-o", "RequiredRSASize=1024", "u@127.0.0.1", "hello")); got.Status != 255 {
		t.Errorf("login by a 1024 bit RSA key: %+v", got)
	}
}

func TestPasswordRefused(t *testing.T) {
	s := start(t, echo, nil)
	got := s.ssh("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive",
		"-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "u@127.0.0.1", "hello")
	want := result{255, "", "u@127.0.0.1: Permission denied (publickey).\r\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoKeysRefuseEverybody(t *testing.T) {
	s := start(t, echo, func(c *Config) { c.AuthorizedKeys = func() []AuthorizedKey { return nil } })
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 255 {
		t.Errorf("login without any authorized key: %+v", got)
	}
	zero := start(t, echo, func(c *Config) { c.AuthorizedKeys = func() []AuthorizedKey { return make([]AuthorizedKey, 1) } })
	if got := zero.ssh("u@127.0.0.1", "hello"); got.Status != 255 {
		t.Errorf("login by the zero key: %+v", got)
	}
}

func TestKeysOfTheMoment(t *testing.T) {
	s := start(t, echo, nil)
	line := s.keygen("later", "ed25519")
	try := func() int { return s.run(s.command("ssh", "later", "u@127.0.0.1", "hello")).Status }
	if got := try(); got != 255 {
		t.Errorf("before the key was added: status %d, want 255", got)
	}
	s.authorize(line)
	if got := try(); got != 0 {
		t.Errorf("after the key was added: status %d, want 0", got)
	}
	s.write("authorized_keys", "", 0o600)
	if got := try(); got != 255 {
		t.Errorf("after the key was removed: status %d, want 255", got)
	}
}

func TestUser(t *testing.T) {
	s := start(t, echo, func(c *Config) { c.User = "backup" })
	if got := s.ssh("backup@127.0.0.1", "hello"); got.Status != 0 {
		t.Errorf("the user asked for: %+v", got)
	}
	if got := s.ssh("admin@127.0.0.1", "hello"); got.Status != 255 {
		t.Errorf("another user: %+v", got)
	}
	s.waitMatch(`msg="Accepted publickey for backup from 127\.0\.0\.1 port \d+ ssh2: ED25519 SHA256:\S+" from=127\.0\.0\.1 `)
	s.waitMatch(`msg="Invalid user admin from 127\.0\.0\.1 port \d+" from=127\.0\.0\.1 port=\d+ user=admin\n`)
	s.waitMatch(`msg="Connection closed by invalid user admin 127\.0\.0\.1 port \d+ \[preauth\]"`)
}

// A user name is the peer's text: it must not break the line of the log.
func TestUserNameInLog(t *testing.T) {
	s := start(t, echo, nil)
	s.keygen("other", "ed25519")
	signer, err := ssh.ParsePrivateKey(s.read("other"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ssh.Dial("tcp", s.addr.String(), &ssh.ClientConfig{
		User:            "x from=9.9.9.9\nmsg=\"Failed",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err == nil {
		t.Error("logged in")
	}
	s.waitLog(`user="x from=9.9.9.9\nmsg=\"Failed"`)
	s.waitLog(`msg="Connection closed by authenticating user x\\040from=9.9.9.9\\012msg=\\042Failed 127.0.0.1 port `)
	for line := range strings.Lines(s.log.String()) {
		if !strings.HasPrefix(line, "time=") {
			t.Errorf("a line of its own in the log: %q", line)
		}
	}
}

func TestTooManyAttempts(t *testing.T) {
	s := start(t, echo, func(c *Config) { c.MaxAuthTries = 2 })
	var args []string
	for i := range 3 {
		name := fmt.Sprint("k", i)
		s.keygen(name, "ed25519")
		args = append(args, "-i", filepath.Join(s.dir, name))
	}
	// The right key comes third, after the two that are allowed to fail.
	cmd := s.command("ssh", "k0", append(args, "-i", filepath.Join(s.dir, "ed25519"), "u@127.0.0.1", "hello")...)
	got := s.run(cmd)
	if got.Status != 255 || !strings.Contains(got.Stderr, "Too many authentication failures") && !strings.Contains(got.Stderr, "too many authentication failures") {
		t.Errorf("got %+v", got)
	}
	s.waitMatch(`msg="maximum authentication attempts exceeded for u from 127\.0\.0\.1 port \d+ ssh2 \[preauth\]"`)
}

func TestAlgorithms(t *testing.T) {
	s := start(t, echo, nil)
	if got := s.ssh("-v", "u@127.0.0.1", "hello"); got.Status != 0 ||
		!strings.Contains(got.Stderr, "kex: algorithm: curve25519-sha256") ||
		!strings.Contains(got.Stderr, "kex: host key algorithm: ssh-ed25519") ||
		!strings.Contains(got.Stderr, "kex: server->client cipher: aes128-gcm@openssh.com MAC: <implicit> compression: none") {
		t.Errorf("a client's defaults: %+v", got)
	}
	for _, tt := range []struct {
		option string
		want   string // part of stderr; "" for success
	}{
		{"KexAlgorithms=curve25519-sha256", ""},
		{"KexAlgorithms=curve25519-sha256@libssh.org", ""},
		{"KexAlgorithms=diffie-hellman-group14-sha1", "no matching key exchange method found"},
		{"KexAlgorithms=diffie-hellman-group14-sha256", "no matching key exchange method found"},
		{"KexAlgorithms=ecdh-sha2-nistp256", "no matching key exchange method found"},
		{"Ciphers=aes128-gcm@openssh.com", ""},
		{"Ciphers=aes256-gcm@openssh.com", ""},
		{"Ciphers=chacha20-poly1305@openssh.com", "no matching cipher found. Their offer: aes128-gcm@openssh.com,aes256-gcm@openssh.com\r\n"},
		{"Ciphers=aes128-cbc", "no matching cipher found"},
		{"Ciphers=aes128-ctr", "no matching cipher found"},
		{"HostKeyAlgorithms=ssh-rsa", "no matching host key type found. Their offer: ssh-ed25519\r\n"},
	} {
		got := s.ssh("-o", tt.option, "u@127.0.0.1", "hello")
		if (got.Status == 0) != (tt.want == "") || !strings.Contains(got.Stderr, tt.want) {
			t.Errorf("%s: want %q in %+v", tt.option, tt.want, got)
		}
	}
	s.waitMatch(`msg="Unable to negotiate with 127\.0\.0\.1 port \d+ \[preauth\]" from=127\.0\.0\.1 port=\d+ err=".*no common algorithm`)

	s = start(t, echo, func(c *Config) { c.Ciphers = []string{"chacha20-poly1305@openssh.com", "aes128-ctr"} })
	for _, cipher := range []string{"chacha20-poly1305@openssh.com", "aes128-ctr"} {
		if got := s.ssh("-c", cipher, "u@127.0.0.1", "hello"); got.Status != 0 {
			t.Errorf("%s by configuration: %+v", cipher, got)
		}
	}
	got := s.ssh("-c", "aes128-ctr", "-m", "hmac-sha1,hmac-sha2-256", "u@127.0.0.1", "hello")
	if !strings.Contains(got.Stderr, "no matching MAC found. Their offer: hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com\r\n") {
		t.Errorf("MACs: %+v", got)
	}
}

func TestRSAHostKey(t *testing.T) {
	dir := t.TempDir()
	other := &testServer{t: t, dir: dir}
	public := other.keygen("host", "rsa", "-b", "2048")
	data, err := os.ReadFile(filepath.Join(dir, "host"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseHostKey(data)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, echo, func(c *Config) { c.HostKeys = []HostKey{key} })
	s.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.addr.Port, public), 0o600)
	for _, alg := range []string{"rsa-sha2-256", "rsa-sha2-512"} {
		if got := s.ssh("-o", "HostKeyAlgorithms="+alg, "u@127.0.0.1", "hello"); got.Status != 0 {
			t.Errorf("%s: %+v", alg, got)
		}
	}
	got := s.ssh("-o", "HostKeyAlgorithms=ssh-rsa", "u@127.0.0.1", "hello")
	if !strings.Contains(got.Stderr, "Their offer: rsa-sha2-256,rsa-sha2-512\r\n") {
		t.Errorf("ssh-rsa: %+v", got)
	}
}

// silent opens a connection that never says anything.
func (s *testServer) silent() net.Conn {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	return nc
}

// rest reads until the server closes.
func (s *testServer) rest(nc net.Conn) {
	s.t.Helper()
	nc.SetReadDeadline(time.Now().Add(hang))
	b := make([]byte, 256)
	for {
		if _, err := nc.Read(b); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				s.t.Error("the server did not close a silent connection")
			}
			return
		}
	}
}

// TestProxyHeader says in front of the SSH banner that the client is another
// one, as proxies do. Nobody here believes that.
func TestProxyHeader(t *testing.T) {
	for _, header := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 1 22\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x16"} {
		s := start(t, echo, nil)
		nc := s.silent()
		fmt.Fprint(nc, header, "SSH-2.0-proxied\r\n")
		nc.(*net.TCPConn).CloseWrite()
		s.rest(nc)
		s.waitLog("from=127.0.0.1")
		if log := s.log.String(); strings.Contains(log, "192.0.2") {
			t.Errorf("%q is believed:\n%s", header, log)
		}
	}
}

func TestLoginGrace(t *testing.T) {
	s := start(t, echo, func(c *Config) { c.LoginGrace = 50 * time.Millisecond })
	s.rest(s.silent())
	s.waitMatch(`msg="Timeout before authentication for 127\.0\.0\.1 port \d+" from=127\.0\.0\.1`)
}
