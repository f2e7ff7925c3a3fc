package rrtest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// EnvRsync names the rsync client to test with in place of the rsync of PATH,
// for example a release that is not installed. Servers go on running the rsync
// of PATH.
const EnvRsync = "RRTEST_RSYNC"

// RunTimeout bounds one client run in tests, to end one that hangs: a busy machine
// does not come near it. Longer ones set Client.Timeout.
const RunTimeout = 5 * time.Minute

// Client runs stock command line programs against a [Server].
type Client struct {
	Server *Server
	// Rsync is the rsync client; empty is the one that EnvRsync names, or the
	// rsync of PATH.
	Rsync string
	// Timeout ends a run that hangs; zero is RunTimeout.
	Timeout time.Duration
	// Stdin is the standard input of the program; nil is empty.
	Stdin io.Reader
}

// Result is what one run of a client left behind, apart from files.
type Result struct {
	Args           []string // the command, program first
	Code           int      // exit status
	Stdout, Stderr string
	Elapsed        time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("%q: exit %d after %v\nstdout:\n%sstderr:\n%s", r.Args, r.Code, r.Elapsed.Round(time.Millisecond), r.Stdout, r.Stderr)
}

// Run runs rsync from PATH with args and, unless dst is empty, dst as its last
// argument, and ends the test when rsync cannot be run or hangs. The exit code
// is the caller's to judge.
func Run(t testing.TB, s *Server, dst string, args ...string) Result {
	t.Helper()
	if dst != "" {
		args = append(args[:len(args):len(args)], dst)
	}
	return Client{Server: s}.Run(t, args...)
}

// Run runs rsync with args over ssh.
func (c Client) Run(t testing.TB, args ...string) Result {
	t.Helper()
	res, err := c.Exec(c.RsyncCommand(args...)...)
	if err != nil {
		t.Fatalf("%v\n%v", err, res)
	}
	return res
}

// SSH runs ssh, sftp or scp (the program) with the server's configuration.
func (c Client) SSH(t testing.TB, program string, args ...string) Result {
	t.Helper()
	res, err := c.Exec(append([]string{program, "-F", c.Server.SSHConfig}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%v", err, res)
	}
	return res
}

// RsyncCommand is the command that runs rsync over ssh with args.
func (c Client) RsyncCommand(args ...string) []string {
	rsync := cmp.Or(c.Rsync, os.Getenv(EnvRsync), "rsync")
	return append([]string{rsync, "-e", "ssh -F " + c.Server.SSHConfig}, args...)
}

// Exec runs a command to its end in a process group of its own. It returns an
// error when the command could not be started or was killed on timeout; the
// result holds what had been written until then.
func (c Client) Exec(args ...string) (Result, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = RunTimeout
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(cleanEnv("RSYNC_", "RRSERVE_", "SSH_", "LC_", "LANG", "TZ", "CVSIGNORE"), "LC_ALL=C", "TZ=UTC")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Minute // for what has its output beside it, as ssh
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return Result{Args: args}, fmt.Errorf("%s is needed (test/deps.sh installs it): %w", args[0], err)
	}
	killed := make(chan struct{})
	timer := time.AfterFunc(timeout, func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		close(killed)
	})
	err := cmd.Wait()
	res := Result{
		Args: args, Code: cmd.ProcessState.ExitCode(), Elapsed: time.Since(begin),
		Stdout: stdout.String(), Stderr: stderr.String(),
	}
	if !timer.Stop() {
		<-killed
		return res, fmt.Errorf("killed after %v: %s", timeout, strings.Join(args, " "))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return res, err
	}
	return res, nil
}
