//go:build docs

package test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// basePackages are what the documents take for granted on one machine or the other.
// The machine that is backed up then loses clientPackages.
var (
	basePackages   = []string{"git", "iproute2", "make", "openssh-client", "openssh-server", "logrotate", "python3", "rsync", "sudo", "systemd-sysv"}
	clientPackages = []string{"openssh-client", "openssh-server", "openssh-sftp-server", "rsync"}
)

const (
	bootTime  = time.Minute
	blockTime = 2 * time.Minute // a block that compiles, on a machine that is busy
)

// cleanBase is the root that all machines see, each with a layer of its own above it. In
// /usr/src it has a clone of this repository, as the working tree is, and its .deb.
func cleanBase(t *testing.T) string {
	base := rrtest.TempDir(t) + "/root"
	output(t, "../packaging/clean-debian.sh", append([]string{base}, basePackages...)...)
	check(t, os.Remove(base+"/etc/hostname")) // systemd would take it for the machine's
	check(t, os.WriteFile(base+"/etc/hosts", []byte("127.0.0.1 localhost\n10.0.0.1 main\n10.0.0.2 backup\n"), 0o644))
	clone := base + "/usr/src/rrserve"
	output(t, "git", "clone", "--quiet", "--no-hardlinks", "..", clone)
	output(t, "bash", "-c", `cd .. && git ls-files -z --cached --others --exclude-standard | rsync --archive --from0 --files-from=- --ignore-missing-args . "$0"`, clone)
	output(t, "make", "--directory="+clone, "packages", "PLATFORMS=linux/amd64")
	output(t, "bash", "-c", `cd "$0" && mv dist/*.deb .. && rm -r dist bin`, clone)
	return base
}

// output runs a program of the host, which must succeed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return strings.TrimSpace(string(out))
}

// machine is a booted Debian: systemd with everything that it starts, in namespaces of its own.
type machine struct {
	t        *testing.T
	leader   int // its process 1, as the host counts
	sessions []*session
}

// pair boots main and backup, joined by a cable. Nothing else is reachable from either.
// shared is a directory that both see as /walk.
func pair(t *testing.T, base, shared string) (main, backup *machine) {
	main, backup = boot(t, base, shared, "main"), boot(t, base, shared, "backup")
	output(t, "ip", "link", "add", "eth0", "netns", strconv.Itoa(main.leader), "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(backup.leader))
	for address, m := range map[string]*machine{"10.0.0.1/24": main, "10.0.0.2/24": backup} {
		m.enter("--net", "ip", "address", "add", address, "dev", "eth0")
		m.enter("--net", "ip", "link", "set", "eth0", "up")
	}
	return main, backup
}

func boot(t *testing.T, base, shared, name string) *machine {
	t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(rrtest.TempDir(t), "notify"), Net: "unixgram"})
	check(t, err)
	defer notify.Close()
	unique := filepath.Base(shared) + "-" + name
	cmd := exec.Command("../packaging/boot-machine.sh", base, unique,
		"--volatile=overlay", "--private-network", "--hostname="+name, "--notify-ready=yes", "--bind="+shared+":/walk",
		"--bind-ro="+output(t, "go", "env", "GOROOT")+":/usr/local/go",
		"--bind-ro="+output(t, "go", "env", "GOMODCACHE")+":/root/go/pkg/mod",
		"--bind="+output(t, "go", "env", "GOCACHE")+":/root/.cache/go-build")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify.LocalAddr().String())
	var console strings.Builder
	cmd.Stdout, cmd.Stderr = &console, &console
	check(t, cmd.Start())
	m := &machine{t: t, leader: cmd.Process.Pid}
	t.Cleanup(func() {
		unix.Kill(m.leader, unix.SIGKILL) // and with it all that runs there
		for _, s := range m.sessions {
			s.cmd.Wait()
			s.blocks.Close()
			s.done.Close()
		}
		cmd.Wait()
		output(t, "bash", "-c", `for group in /sys/fs/cgroup/{,*/}"$0"; do [ ! -d "$group" ] || find "$group" -depth -type d -delete; done`, unique)
	})
	check(t, notify.SetReadDeadline(time.Now().Add(bootTime)))
	for message := make([]byte, 4096); ; {
		n, err := notify.Read(message)
		if err != nil {
			t.Fatalf("%s does not boot: %v\n%s", name, err, console.String())
		}
		for line := range strings.Lines(string(message[:n])) {
			if pid, ok := strings.CutPrefix(strings.TrimSpace(line), "X_NSPAWN_LEADER_PID="); ok {
				m.leader, err = strconv.Atoi(pid)
				check(t, err)
			}
			if strings.TrimSpace(line) == "READY=1" {
				return m
			}
		}
	}
}

// enter runs a program in some namespaces of the machine.
func (m *machine) enter(namespaces string, args ...string) string {
	m.t.Helper()
	return output(m.t, "nsenter", append([]string{"--target=" + strconv.Itoa(m.leader), namespaces}, args...)...)
}

// root is the machine's root directory, as the host sees it.
func (m *machine) root() string { return fmt.Sprintf("/proc/%d/root", m.leader) }

// journal is what the programs of this repository have said lately.
func (m *machine) journal() string {
	return m.enter("--all", "journalctl", "--no-pager", "--quiet", "--lines=30", "_COMM=rrserve", "+", "UNIT=rrserve.service", "+", "UNIT=rrserve.socket", "+", "_SYSTEMD_UNIT=rrserve-pull.service")
}

// session is root's shell, in which one block after the other is run: directory, variables
// and background jobs stay.
type session struct {
	name   string
	shared string
	blocks *os.File // to the shell: names of blocks
	done   *os.File // from the shell: a line for each block that went well
	cmd    *exec.Cmd
	runs   int
}

// shell ends at the first command that fails, and says which. What a block prints is kept beside it.
const shell = `set -Eeuo pipefail
trap 'echo "${BASH_SOURCE[0]##*/}:$LINENO: exit status $?: $BASH_COMMAND" >&2' ERR
while read -r block <&3; do
	. "$block" </dev/null >"$block.out" 2>&1 3<&- 4>&-
	echo >&4
done`

// answers is what a reader types when ssh asks: yes to a host key, otherwise nothing.
const answers = `#!/bin/sh
case $1 in *'(yes/no'*) echo yes ;; *) echo ;; esac
`

// login starts a session. name tells it from others that share the directory shared.
func (m *machine) login(name, shared string) *session {
	m.t.Helper()
	check(m.t, os.WriteFile(shared+"/answers", []byte(answers), 0o755))
	blocks, toShell, err := os.Pipe()
	check(m.t, err)
	fromShell, done, err := os.Pipe()
	check(m.t, err)
	s := &session{name: name, shared: shared, blocks: toShell, done: fromShell}
	s.cmd = exec.Command("nsenter", "--target="+strconv.Itoa(m.leader), "--all",
		"env", "--chdir=/root", "--ignore-environment", "HOME=/root", "USER=root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"SSH_ASKPASS=/walk/answers", "SSH_ASKPASS_REQUIRE=force", "bash", "--norc", "-c", shell)
	s.cmd.ExtraFiles = []*os.File{blocks, done}
	check(m.t, s.cmd.Start())
	blocks.Close()
	done.Close()
	m.sessions = append(m.sessions, s)
	return s
}

// run runs a script that stands in a document from this line on, and returns what it
// prints.
func (s *session) run(document string, line int, script string) (string, error) {
	s.runs++
	block := fmt.Sprintf("%s-%d/%s", s.name, s.runs, filepath.Base(document))
	file := filepath.Join(s.shared, block)
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	// With empty lines before, so that bash counts as the document does.
	if err := os.WriteFile(file, []byte(strings.Repeat("\n", line-1)+script), 0o644); err != nil {
		return "", err
	}
	s.done.SetReadDeadline(time.Now().Add(blockTime))
	fmt.Fprintln(s.blocks, "/walk/"+block)
	_, err := bufio.NewReader(s.done).ReadString('\n')
	out, _ := os.ReadFile(file + ".out")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("not finished after %v", blockTime)
	} else if err != nil {
		err = fmt.Errorf("the shell ended: %w", s.cmd.Wait())
	}
	return string(out), err
}
