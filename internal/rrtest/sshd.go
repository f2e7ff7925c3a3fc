package rrtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Sshd starts a private OpenSSH sshd on loopback whose sessions run rsync with
// root as their working directory and HOME: the reference that rrserve is
// compared with. With [WithRrsync] the sessions run rrsync -ro root. See also
// [Forced].
func Sshd(t testing.TB, root string, opts ...Option) *Server {
	t.Helper()
	s, err := StartSshd(root, opts...)
	return keep(t, s, err)
}

// Forced starts such an sshd whose sessions run rrserve -ro root.
func Forced(t testing.TB, root string, opts ...Option) *Server {
	t.Helper()
	c := newConfig(opts)
	c.forced = true
	s, err := startSshd(root, c)
	if s != nil {
		s.Name = "rrserve" // it is that which answers
	}
	return keep(t, s, err)
}

// StartSshd is [Sshd] for programs; the caller stops the server.
func StartSshd(root string, opts ...Option) (*Server, error) {
	return startSshd(root, newConfig(opts))
}

func startSshd(root string, c *config) (*Server, error) {
	sshd, err := lookTool("sshd", "openssh-server")
	if err != nil {
		return nil, err
	}
	s, err := prepare("sshd", root)
	if err != nil {
		return s, err
	}
	if err := s.writeSshdFiles(c); err != nil {
		return s, err
	}
	// Only the address of a free port can be had beforehand, not the port
	// itself: take another one when somebody was faster.
	for range 5 {
		addr, errFree := freeAddr()
		if errFree != nil {
			return s, errFree
		}
		_, port, _ := strings.Cut(addr, ":")
		cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"), "-p", port)
		s.done = make(chan struct{})
		err = s.start(cmd, func(line string) string {
			if strings.HasPrefix(line, "Server listening on ") {
				return addr
			}
			return ""
		})
		if err == nil || !strings.Contains(s.Log(), "Address already in use") {
			break
		}
	}
	return s, err
}

func (s *Server) writeSshdFiles(c *config) error {
	hostKey := filepath.Join(s.dir, "ssh_host_ed25519_key")
	if err := NewKey(hostKey); err != nil {
		return err
	}
	pub, err := os.ReadFile(s.clientKey() + ".pub")
	if err != nil {
		return err
	}
	command, err := s.forcedCommand(c)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("restrict,command=%s %s", authorizedKeysQuote(command), pub)
	if err := os.WriteFile(filepath.Join(s.dir, "authorized_keys"), []byte(line), 0o600); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		// The privilege separation directory, made at boot where sshd is a service.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	conf := strings.Join([]string{
		"ListenAddress 127.0.0.1",
		"HostKey " + hostKey,
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized_keys"),
		"PidFile none",
		"StrictModes no",
		"UsePAM no",
		"PermitRootLogin yes",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"MaxStartups 1000",
		"MaxSessions 1000",
		"UseDNS no",
		"PrintMotd no",
		"AcceptEnv RRSERVE_*",
		// The user's own shell start-up files are none of the reference.
		"SetEnv HOME=" + s.Root,
		"",
	}, "\n")
	return os.WriteFile(filepath.Join(s.dir, "sshd_config"), []byte(conf), 0o644)
}

// forcedCommand is what a session runs in place of the client's command: bash,
// the login shell of the systems where rsync over SSH is used most, and the
// reason that {a,b} works in a source.
func (s *Server) forcedCommand(c *config) (string, error) {
	if c.rrsync {
		_, err := lookTool("rrsync", "rsync")
		return "rrsync -ro " + shellQuote(s.Root), err
	}
	drop := ""
	if c.uid >= 0 {
		setpriv, err := lookTool("setpriv", "util-linux")
		if err != nil {
			return "", err
		}
		drop = fmt.Sprintf("%s --reuid=%d --regid=%[2]d --clear-groups ", setpriv, c.uid)
	}
	if c.forced {
		binary, err := rrserveBinary(c)
		words := slices.Concat(c.under, []string{binary, "-ro"}, c.args, []string{s.Root})
		for i, w := range words {
			words[i] = shellQuote(w)
		}
		return drop + strings.Join(words, " "), err
	}
	bash, err := lookTool("bash", "bash")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`cd %s && exec %s%s --norc -c "$SSH_ORIGINAL_COMMAND"`,
		shellQuote(s.Root), drop, bash), nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func authorizedKeysQuote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}
