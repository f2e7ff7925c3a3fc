package rrtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// EnvServer selects the server under test: "rrserve" (the default); "forced",
// rrserve as the forced command of an sshd; or "sshd", which compares the
// reference with itself and so tests the tests.
const EnvServer = "RRTEST_SERVER"

// EnvBinary names a finished rrserve binary to test in place of one built from
// the module, for example one out of a release archive.
const EnvBinary = "RRTEST_BINARY"

// UnderTest starts the server that EnvServer selects.
func UnderTest(t testing.TB, root string, opts ...Option) *Server {
	t.Helper()
	switch name := os.Getenv(EnvServer); name {
	case "", "rrserve":
		return Rrserve(t, root, opts...)
	case "forced":
		return Forced(t, root, opts...)
	case "sshd":
		return Sshd(t, root, opts...)
	default:
		t.Fatalf("%s=%s: none of rrserve, forced and sshd", EnvServer, name)
		return nil
	}
}

// Rrserve starts rrserve on loopback with a key and a state directory of its
// own. The binary is built once per test process.
func Rrserve(t testing.TB, root string, opts ...Option) *Server {
	t.Helper()
	s, err := StartRrserve(root, opts...)
	return keep(t, s, err)
}

// StartRrserve is [Rrserve] for programs; the caller stops the server.
func StartRrserve(root string, opts ...Option) (*Server, error) {
	c := newConfig(opts)
	binary, err := rrserveBinary(c)
	if err != nil {
		return nil, err
	}
	s, err := prepare("rrserve", root)
	if err != nil {
		return s, err
	}
	state := filepath.Join(s.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		return s, err
	}
	args := append(c.under[:len(c.under):len(c.under)], binary,
		"--root", root,
		"--authorized-key", s.clientKey()+".pub",
		"--listen", "127.0.0.1:0",
		"--state-dir", state)
	if os.Geteuid() == 0 && c.uid < 0 {
		args = append(args, "--read-all") // as the reference does
	}
	args = append(args, c.args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = cleanEnv("RRSERVE_")
	if c.uid >= 0 {
		id := uint32(c.uid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
		if err := os.Chown(state, c.uid, c.uid); err != nil {
			return s, err
		}
	}
	return s, s.start(cmd, listeningAddr)
}

var addrAttr = regexp.MustCompile(`\baddr(?:ess)?"?[=:]"?((?:127\.0\.0\.1|\[::1?\]):[0-9]+)`)

// listeningAddr finds the address in the log line that says rrserve listens.
func listeningAddr(line string) string {
	m := addrAttr.FindStringSubmatch(line)
	if m == nil || !strings.Contains(line, "listening") {
		return ""
	}
	return m[1]
}

// Binary returns the rrserve binary under test, built once per test process.
func Binary() (string, error) { return rrserveBinary(newConfig(nil)) }

func rrserveBinary(c *config) (string, error) {
	if c.binary != "" {
		return filepath.Abs(c.binary)
	}
	if name := os.Getenv(EnvBinary); name != "" {
		return filepath.Abs(name)
	}
	return builtBinary()
}

// builtBinary builds cmd/rrserve into a folder that Main removes.
var builtBinary = sync.OnceValues(func() (string, error) {
	dir, err := processDir()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "rrserve")
	return name, Build(name)
})

// Build builds the rrserve binary of this module as a release is built:
// static and without local paths.
func Build(name string) error { return build(name, "rrserve/cmd/rrserve") }

func build(name, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", name, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// OneWall builds the program of the package onewall, which serves with some of
// the walls left out, into dir.
func OneWall(t testing.TB, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "onewall")
	if err := build(name, "rrserve/internal/rrtest/onewall"); err != nil {
		t.Fatal(err)
	}
	return name
}

// processDir is a folder for what all tests of a process share.
var processDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rrtest-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
})

// Main runs the tests of a package, with the usual umask, and removes what they
// shared. TestMain calls it: os.Exit(rrtest.Main(m)).
func Main(m *testing.M) int {
	syscall.Umask(0o022) // rrserve looks at modes
	defer func() {
		if dir, err := processDir(); err == nil {
			RemoveAll(dir)
		}
	}()
	return m.Run()
}

// cleanEnv is the environment without the variables that begin with one of the
// prefixes.
func cleanEnv(prefixes ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		drop := false
		for _, p := range prefixes {
			drop = drop || strings.HasPrefix(kv, p)
		}
		if !drop {
			env = append(env, kv)
		}
	}
	return env
}
