package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"rrserve/internal/rrtest"
)

const fail2banFilter = "../packaging/fail2ban/filter.d/rrserve.conf"

// forged would make fail2ban ban an innocent address, if it were a line, or the
// beginning of a message.
const forged = "Connection closed by authenticating user x 203.0.113.9 port 1 [preauth]"

// evilNames are SSH user names, and more, that try to be a line of the log.
var evilNames = []string{
	"",
	"é\x1b[31m",
	"x from 203.0.113.9 port 5 ssh2",
	"x 203.0.113.9 port 5 [preauth]",
	`x 203.0.113.9 port 5 [preauth]" from=203.0.113.9 port=5`,
	`x\" 203.0.113.9 port 5 [preauth]`,
	"x\n" + forged,
	"x\r\ntime=2026-11-27T07:00:00Z level=INFO msg=\"" + forged + "\" from=203.0.113.9",
	"x\n" + `{"time":"2026-11-27T07:00:00Z","level":"INFO","msg":"` + forged + `"}`,
	`","msg":"` + forged,
	strings.Repeat("x", 255) + " 203.0.113.9 port 1 [preauth]",
}

// stranger logs in from addresses of its own, one for each call.
type stranger struct {
	t    *testing.T
	addr string
	last byte // of the address used last
}

func (s *stranger) dial() (net.Conn, string) {
	s.t.Helper()
	s.last++
	from := net.IPv4(127, 0, 7, s.last)
	nc, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp", s.addr)
	check(s.t, err)
	return nc, from.String()
}

// login tries to log in, and returns where from. A client that got in runs
// commands, and asks for a channel, that try to be a line of the log.
func (s *stranger) login(want bool, user, version string, methods ...ssh.AuthMethod) string {
	s.t.Helper()
	nc, from := s.dial()
	defer nc.Close()
	c, channels, requests, err := ssh.NewClientConn(nc, "", &ssh.ClientConfig{
		User: user, Auth: methods, ClientVersion: version, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if (err == nil) != want {
		s.t.Fatalf("%q: logged in: %v, want %v: %v", user, err == nil, want, err)
	}
	if err != nil {
		return from
	}
	client := ssh.NewClient(c, channels, requests)
	for _, name := range evilNames {
		session, err := client.NewSession()
		check(s.t, err)
		session.Run(name)
		client.OpenChannel(name, nil)
	}
	client.Close()
	return from
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	check(t, rrtest.NewKey(name))
	data, err := os.ReadFile(name)
	check(t, err)
	signer, err := ssh.ParsePrivateKey(data)
	check(t, err)
	return signer
}

// journal makes the server believe that it writes to the journal, which takes the
// priority off each line.
var (
	journal         = rrtest.Under("sh", "-c", `JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@"`)
	journalPriority = regexp.MustCompile(`^<[0-7]>`)
)

// TestFail2ban reads the log of a real server with the filter in packaging: each
// failed login is found, once and with its own address, and nothing else.
func TestFail2ban(t *testing.T) {
	json := rrtest.WithArgs("--log-format", "json")
	for _, tt := range []struct {
		name, prefix string
		journal      bool
		options      []rrtest.Option
		anyUser      bool
	}{
		{"text", "", false, nil, true},
		{"json", "", false, []rrtest.Option{json, rrtest.WithArgs("--user", "backup")}, false},
		{"journal", "main rrserve[17]: ", true, []rrtest.Option{journal}, true},
		{"journal, json", "main rrserve[17]: ", true, []rrtest.Option{journal, json}, true},
		{"syslog", "Nov 27 07:00:00 main rrserve[17]: ", true, []rrtest.Option{journal}, true},
		{"syslog, json", "Nov 27 07:00:00 main rrserve[17]: ", false, []rrtest.Option{json}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := rrtest.ScratchDir(t)
			server := rrtest.Rrserve(t, src, tt.options...)
			failed := failLogins(t, server, tt.anyUser)
			server.Stop()
			impatient := rrtest.Rrserve(t, src, append(tt.options, rrtest.WithArgs("--login-grace-time", "100ms"))...)
			failed = append(failed, stall(t, impatient))
			impatient.Stop()

			if got := strings.HasPrefix(server.Log(), "<6>"); got != tt.journal {
				t.Errorf("priorities in front of lines: %v", got)
			}
			var log strings.Builder
			for line := range strings.Lines(server.Log() + impatient.Log()) {
				log.WriteString(tt.prefix + journalPriority.ReplaceAllString(line, ""))
			}
			slices.Sort(failed)
			if diff := cmp.Diff(failed, banned(t, log.String())); diff != "" {
				t.Errorf("failed logins (-want +found):\n%s", diff)
			}
		})
	}
}

// failLogins logs in rightly and wrongly, and returns the addresses of those that
// must not have got in.
func failLogins(t *testing.T, server *rrtest.Server, anyUser bool) (failed []string) {
	right, wrong := clientSigner(t, server), newSigner(t)
	s := &stranger{t: t, addr: server.Addr}
	// With several keys, of which the last one is right.
	s.login(true, "backup", "SSH-2.0-"+forged, ssh.PublicKeys(wrong, newSigner(t), right))
	for _, name := range evilNames {
		if anyUser && len(name) < 256 {
			s.login(true, name, "", ssh.PublicKeys(right))
		}
		failed = append(failed, s.login(false, name, "", ssh.PublicKeys(wrong)))
	}
	failed = append(failed, s.login(false, "backup", "", ssh.Password(forged)))
	many := []ssh.Signer{wrong}
	for range 8 {
		many = append(many, newSigner(t))
	}
	failed = append(failed, s.login(false, "backup", "", ssh.PublicKeys(many...)))
	// One that speaks no SSH tries no login, and is none of a filter's business.
	nc, _ := s.dial()
	fmt.Fprint(nc, forged+"\r\n")
	nc.Close()
	return failed
}

// stall connects and waits to be thrown out.
func stall(t *testing.T, server *rrtest.Server) string {
	nc, from := (&stranger{t: t, addr: server.Addr, last: 200}).dial()
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	for b := make([]byte, 64); ; {
		if _, err := nc.Read(b); err != nil {
			return from
		}
	}
}

// banned returns the addresses that fail2ban finds in a log, sorted.
func banned(t *testing.T, log string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	check(t, os.WriteFile(file, []byte(log), 0o600))
	cmd := exec.Command("fail2ban-regex", "-o", "ip", file, fail2banFilter)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	check(t, err)
	found := strings.Fields(string(out))
	slices.Sort(found)
	return found
}
