package test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// forcedCommands are the cases that are also run against rrserve as the forced
// command of an sshd; RRTEST_SERVER=forced runs all of every test so.
var forcedCommands = []string{
	"copy links", "copy links, dangling argument", "copy unsafe links", "safe links", "munged links", "links as they are",
	"path to rsync", "BackupPC", "BackupPC, incremental", "rsnapshot", "barman, list of files", "TrueNAS",
	"modules", "unknown module", "module", "missing file below", "wildcards", "filters", "secluded", "compressed", "checksum", "stats",
	"times of access", "append", "timeout and bwlimit", "delete",
}

func TestForcedDifferential(t *testing.T) {
	f := newFixture(t)
	daemonConfig(t, f)
	f.servers[1] = rrtest.Forced(t, f.src)
	left := slices.Clone(forcedCommands)
	for _, c := range slices.Concat(linkCommands, toolCommands, daemonCommands) {
		i := slices.Index(left, c.name)
		if i < 0 {
			continue
		}
		left = slices.Delete(left, i, i+1)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, defaultClient)
		})
	}
	if len(left) > 0 {
		t.Errorf("no cases are called %q", left)
	}
}

// TestForced is what a user of an existing sshd sees: the pull of the README, what
// is refused, probes. Variables that the client sets (AcceptEnv) change nothing.
func TestForced(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	rrtest.RichTree(t, src)
	s := rrtest.Forced(t, src)
	var config strings.Builder
	fmt.Fprint(&config, s.SSHConfigFor(filepath.Join(filepath.Dir(s.SSHConfig), "client_key")), "  SetEnv")
	for _, kv := range []string{"ROOT=/", "NO_PROBES=1", "SANDBOX=no", "RUN_AS=nobody", "READ_ONLY=0", "LISTEN=no", "ABSOLUTE=1", "IDLE_TIMEOUT=1s", "CONFIG=/nonexistent"} {
		fmt.Fprint(&config, " RRSERVE_", kv)
	}
	check(t, os.WriteFile(s.SSHConfig, []byte(config.String()+"\n"), 0o644))

	dst := rrtest.ScratchDir(t)
	if res := rrtest.Run(t, s, dst, "-azh", "--stats", "rr:*"); res.Code != 0 || res.Stderr != "" {
		t.Fatal(res)
	}
	want, got := take(t, src), take(t, dst)
	for _, name := range []string{".", ".dotfile"} { // which the wildcard leaves out
		delete(want, name)
		delete(got, name)
	}
	if d := rrtest.Diff(want, got); len(d) > 0 {
		t.Errorf("%d objects differ:\n%s", len(d), strings.Join(first(d, 20), "\n"))
	}

	client := rrtest.Client{Server: s}
	before := take(t, src)
	for _, c := range []struct {
		name           string
		res            rrtest.Result
		code           int    // -1: any but 0
		stdout, stderr string // parts
	}{
		{"push", client.Run(t, "-a", src+"/a.txt", "rr:new"), -1, "", "rrserve: sending to read-only server not allowed [E-RO]"},
		{"push, status of the server", client.SSH(t, "ssh", "rr", "rsync --server -re.LsfxCIvu . ."), 1, "", "[E-RO]"},
		{"missing file", client.Run(t, "-a", "rr:no-such", "rr:a.txt", dst+"/"), 23, "", `link_stat "/no-such" failed: No such file or directory (2)`},
		{"dot dot", client.Run(t, "-a", "rr:../x", dst+"/"), -1, "", "[E-PATH]"},
		{"absolute name", client.Run(t, "-a", "rr:"+src+"/a.txt", dst+"/"), 23, "", "No such file or directory (2)"},
		{"shell", client.SSH(t, "ssh", "rr"), 1, "", "rrserve: there is no shell here"},
		{"command", client.SSH(t, "ssh", "rr", "ls"), 127, "", "[E-COMMAND]"},
		{"sftp", client.SSH(t, "sftp", "rr:"), 255, "", ""},
		{"true", client.SSH(t, "ssh", "rr", "true"), 0, "", ""},
		{"test -d", client.SSH(t, "ssh", "rr", "test", "-d", "sub"), 0, "", ""},
		{"test -d, without", client.SSH(t, "ssh", "rr", "test", "-d", "a.txt"), 1, "", ""},
		{"df", client.SSH(t, "ssh", "rr", "df", "-P", "."), 0, "Capacity", ""},
		{"version", client.SSH(t, "ssh", "rr", "rsync", "--version"), 0, "rsync  version ", ""},
	} {
		if c.code >= 0 && c.res.Code != c.code || c.code < 0 && c.res.Code == 0 || !strings.Contains(c.res.Stdout, c.stdout) || !strings.Contains(c.res.Stderr, c.stderr) {
			t.Errorf("%s: want exit %d, %q, %q:\n%v", c.name, c.code, c.stdout, c.stderr, c.res)
		}
	}
	if d := rrtest.Diff(before, take(t, src)); len(d) > 0 {
		t.Errorf("the served tree was changed:\n%s", strings.Join(d, "\n"))
	}
}

// TestForcedWords gives rrserve further words of rrsync.
func TestForcedWords(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	rrtest.RichTree(t, src)
	s := rrtest.Forced(t, src, rrtest.WithArgs("-munge", "-absolute", "-no-del", "-no-lock", "-no-overwrite"))
	dst := rrtest.TempDir(t)
	if res := rrtest.Run(t, s, dst, "-a", "rr:"+src+"/munged/"); res.Code != 0 || res.Stderr != "" {
		t.Fatal(res)
	}
	links := 0
	check(t, filepath.WalkDir(dst, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.Type() != os.ModeSymlink {
			return err
		}
		links++
		if d.Name() == "bare" { // nothing but the prefix
			return nil
		}
		if text, err := os.Readlink(name); err != nil || strings.HasPrefix(text, "/rsyncd-munged/") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		return nil
	}))
	if links == 0 {
		t.Error("there are no links to look at")
	}

	root := rrtest.TempDir(t) + "/gone"
	check(t, os.Mkdir(root, 0o755))
	s = rrtest.Forced(t, root)
	check(t, os.Remove(root))
	res := rrtest.Run(t, s, dst, "-a", "rr:")
	if res.Code == 0 || !strings.Contains(res.Stderr, "rrserve: open "+root+": no such file or directory") {
		t.Error(res)
	}
}

// TestForcedConfined looks at the process while a pull is held, and sees it end
// when its client is killed.
func TestForcedConfined(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	rrtest.NewTree(t, src).Done()
	s := rrtest.Forced(t, src)
	cmd := exec.Command("ssh", "-F", s.SSHConfig, rrtest.Host, "rsync --server --sender -e.LsfxCIvu . .")
	stdin, err := cmd.StdinPipe()
	check(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	_, err = io.ReadFull(stdout, make([]byte, 4)) // the protocol version
	pid := forcedProcess(t, src)
	status, errStatus := os.ReadFile(pid + "/status")
	check(t, cmd.Process.Kill())
	cmd.Wait()
	check(t, err)
	check(t, errStatus)
	caps := "CapEff:\t0000000000000000\nCapBnd:\t"
	if os.Geteuid() == 0 {
		caps = "CapEff:\t0000000000000004\nCapBnd:\t0000000000000000\n" // CAP_DAC_READ_SEARCH
	}
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", caps} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	ends(t, pid)
}

// TestForcedGone kills a client while the server is busy with what takes it long, a
// checksum of zeros.
func TestForcedGone(t *testing.T) {
	src := rrtest.ScratchDir(t) + "/src"
	tr := rrtest.NewTree(t, src)
	tr.Sparse("zeros", 1<<40, 1<<39, "an island")
	tr.Done()
	s := rrtest.Forced(t, src)
	dst := rrtest.TempDir(t)
	check(t, os.WriteFile(dst+"/zeros", nil, 0o644))
	command := rrtest.Client{Server: s}.RsyncCommand("-ac", "rr:", dst)
	client := exec.Command(command[0], command[1:]...)
	client.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, client.Start())
	deadline := time.Now().Add(rrtest.StartTimeout)
	pid := ""
	for busy := 0; busy < 20; time.Sleep(5 * time.Millisecond) { // a fifth of a second of the processor
		if pid == "" {
			pid = findForced(src)
		} else if stat, err := os.ReadFile(pid + "/stat"); err == nil {
			_, err := fmt.Sscan(strings.Fields(string(stat))[13], &busy) // utime, proc(5)
			check(t, err)
		}
		if time.Now().After(deadline) {
			t.Errorf("process %q is not busy", pid)
			break
		}
	}
	syscall.Kill(-client.Process.Pid, syscall.SIGKILL)
	client.Wait()
	ends(t, pid)
}

// ends waits until the process with this folder below /proc has ended.
func ends(t *testing.T, pid string) {
	t.Helper()
	for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(pid); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the process goes on without its client")
		}
	}
}

// forcedProcess is the folder below /proc of the process that serves root.
func forcedProcess(t *testing.T, root string) string {
	t.Helper()
	pid := findForced(root)
	if pid == "" {
		t.Fatal("no process serves " + root)
	}
	return pid
}

func findForced(root string) (pid string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		if words, _ := os.ReadFile(name); bytes.HasPrefix(words, []byte("/")) && bytes.HasSuffix(words, []byte("/rrserve\x00-ro\x00"+root+"\x00")) {
			return filepath.Dir(name)
		}
	}
	return ""
}

// TestForcedSystemCalls looks at all that it asks of the kernel once the last of
// its attempts to break out has failed.
func TestForcedSystemCalls(t *testing.T) {
	src, dst := rrtest.TempDir(t)+"/src", rrtest.ScratchDir(t)+"/dst"
	rrtest.RichTree(t, src)
	trace := filepath.Join(rrtest.TempDir(t), "trace")
	s := rrtest.Forced(t, src, rrtest.Under("strace", "-D", "-f", "-qq", "-s", "256", "-o", trace))
	for _, args := range [][]string{{"-aHAXczL", "rr:"}, {"-aI", "--no-W", "rr:"}} {
		if res := rrtest.Run(t, s, dst, args...); res.Code != 0 && res.Code != 23 {
			t.Fatal(res)
		}
		if seen := tracedHarmless(t, trace, "unshare(0"); seen["openat2"] == 0 || seen["write"] == 0 || seen["pwrite64"] > 0 {
			t.Errorf("not the calls of a server that was traced: %v", seen)
		}
		check(t, os.Remove(trace))
	}
}

// TestForcedSockets runs it as the program of rsync -e, which gives it sockets that
// do not block, as a program in place of sshd may.
func TestForcedSockets(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/src")
	tr.File("large", rrtest.Noise(1, 30_000_000))
	tr.Done()
	check(t, rrtest.Build(dir+"/rrserve"))
	script := "#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND=\"$*\" exec " + dir + "/rrserve -ro " + dir + "/src\n"
	check(t, os.WriteFile(dir+"/shell", []byte(script), 0o755))
	dst := rrtest.TempDir(t)
	res, err := rrtest.Client{}.Exec("rsync", "-a", "-e", dir+"/shell", "rr:", dst)
	if err != nil || res.Code != 0 || res.Stderr != "" {
		t.Fatal(err, res)
	}
	rrtest.Compare(t, dir+"/src", dst, rrtest.Aspects{})
}

// TestForcedEnds talks to the process directly: how it ends when its client is
// silent, and when it is told to.
func TestForcedEnds(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	rrtest.NewTree(t, src).Done()
	bin := rrtest.TempDir(t) + "/rrserve"
	check(t, rrtest.Build(bin))
	for _, c := range []struct {
		name, option string
		signal       os.Signal
		code         int
	}{
		{"timeout", "--timeout=1", nil, 30},
		{"terminated", "-r", syscall.SIGTERM, 20},
		{"hung up", "-r", syscall.SIGHUP, 20},
	} {
		cmd := exec.Command(bin, "-ro", src)
		cmd.Env = []string{"SSH_ORIGINAL_COMMAND=rsync --server --sender -e.LsfxCIvu " + c.option + " . ."}
		stdin, err := cmd.StdinPipe()
		check(t, err)
		stdout, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		_, err = io.ReadFull(stdout, make([]byte, 4))
		check(t, err)
		if c.signal != nil {
			check(t, cmd.Process.Signal(c.signal))
		}
		timer := time.AfterFunc(rrtest.RunTimeout, func() { cmd.Process.Kill() })
		io.Copy(io.Discard, stdout)
		cmd.Wait()
		timer.Stop()
		stdin.Close()
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.name, code, c.code)
		}
	}
}
