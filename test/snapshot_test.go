package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// snapshots is a server whose tree is made by a stand-in for a command that makes
// snapshots.
type snapshots struct {
	*rrtest.Server
	t                    *testing.T
	live, dir, note, bin string // the tree, its snapshots, what the command left, the command
}

// standIn copies the tree and then changes it; a file of the tree that is called
// "begin" says what else it does first. When its input ends it removes the copy,
// and leaves a note if the server has files of it open.
const standIn = `#!/bin/sh
set -eu
. "$RRSERVE_SNAPSHOT_OF/begin"
snap=DIR/$$
server=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)
cp -a "$RRSERVE_SNAPSHOT_OF" "$snap"
echo changed >"$RRSERVE_SNAPSHOT_OF/file"
touch "$RRSERVE_SNAPSHOT_OF/new"
echo "$RRSERVE_SNAPSHOT_NAME made by $(id -u)" >&2
echo "$snap"
cat >/dev/null
ls -l /proc/$server/fd 2>/dev/null | grep "$snap" >>NOTE || true
rm -rf "$snap"
`

func newSnapshots(t *testing.T, share string) *snapshots {
	t.Helper()
	dir := rrtest.TempDir(t)
	s := &snapshots{t: t, live: dir + "/live", dir: dir + "/snaps", note: dir + "/note", bin: dir + "/snap"}
	tr := rrtest.NewTree(t, s.live)
	tr.File("file", "frozen\n")
	tr.File("begin", "")
	tr.File("sub/other", "frozen\n")
	tr.Symlink("sub/absolute", s.live+"/file")
	tr.Done()
	check(t, os.Mkdir(s.dir, 0o755))
	check(t, os.WriteFile(s.bin, []byte(strings.NewReplacer("DIR", s.dir, "NOTE", s.note).Replace(standIn)), 0o755))
	config := fmt.Sprintf("[roots.photos]\npath = %q\nsnapshot_cmd = [\"/bin/sh\", %q]\nsnapshot_dir = %q\nsnapshot_share = %q\nsnapshot_timeout = \"2m\"\n",
		s.live, s.bin, s.dir, share)
	check(t, os.WriteFile(dir+"/rrserve.toml", []byte(config), 0o644))
	s.Server = rrtest.Rrserve(t, s.live, rrtest.WithArgs("--config", dir+"/rrserve.toml"))
	return s
}

// exist waits until as many snapshots exist.
func (s *snapshots) exist(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(5 * time.Millisecond) {
		entries, err := os.ReadDir(s.dir)
		check(s.t, err)
		if len(entries) == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d snapshots exist, want %d", len(entries), n)
		}
	}
}

// hold begins a session, which goes on until release is called.
func (s *snapshots) hold() (release func()) {
	s.t.Helper()
	cmd := exec.Command("ssh", "-F", s.SSHConfig, rrtest.Host, "rsync --server --sender -re.LsfxCIvu . .")
	stdin, err := cmd.StdinPipe()
	check(s.t, err)
	stdout, err := cmd.StdoutPipe()
	check(s.t, err)
	check(s.t, cmd.Start())
	if _, err := io.ReadFull(stdout, make([]byte, 4)); err != nil { // the protocol version
		s.t.Error(err)
	}
	return func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// child is the number of the server's only child, the broker.
func (s *snapshots) child() *os.Process {
	s.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.Process.Pid))
	check(s.t, err)
	pid := 0
	for _, name := range threads { // of which one is the child's parent
		if text, err := os.ReadFile(name); err == nil && len(text) > 0 {
			_, err = fmt.Sscan(string(text), &pid)
			check(s.t, err)
		}
	}
	if pid == 0 {
		s.t.Fatal("the server has no child")
	}
	p, err := os.FindProcess(pid)
	check(s.t, err)
	return p
}

// TestSnapshot pulls from a tree that changes once its snapshot is made: what
// arrives is the snapshot. Afterwards it is gone.
func TestSnapshot(t *testing.T) {
	s := newSnapshots(t, "1ms")
	want := take(t, s.live)
	dst := rrtest.TempDir(t)
	if res := rrtest.Run(t, s.Server, dst, "-a", "rr:"); res.Code != 0 || res.Stderr != "" {
		t.Fatal(res)
	}
	if d := rrtest.Diff(want, take(t, dst)); len(d) > 0 {
		t.Errorf("the copy is not the tree as it was:\n%s", strings.Join(d, "\n"))
	}
	if text, _ := os.ReadFile(s.live + "/file"); string(text) != "changed\n" {
		t.Errorf("the tree did not change meanwhile: %q", text)
	}
	// A link to the tree itself leads into the snapshot, which now has the change.
	if res := rrtest.Run(t, s.Server, dst, "-aL", "rr:sub/absolute"); res.Code != 0 {
		t.Fatal(res)
	}
	if text, _ := os.ReadFile(dst + "/absolute"); string(text) != "changed\n" {
		t.Errorf("the link led to %q", text)
	}
	s.exist(0)
	for command, code := range map[string]int{"true": 0, "rsync --server -r . .": 1} { // which look at no file
		if res := (rrtest.Client{Server: s.Server}).SSH(t, "ssh", rrtest.Host, command); res.Code != code {
			t.Error(res)
		}
	}
	if n := strings.Count(s.Log(), `msg="snapshot made"`); n != 2 {
		t.Errorf("%d snapshots were made for 2 pulls", n)
	}

	// The server cannot execute; who can, keeps the rights of the start.
	confined := regexp.MustCompile(`NoNewPrivs:.*\nSeccomp:.*\n`)
	for pid, want := range map[int]string{
		s.Process.Pid: "NoNewPrivs:\t1\nSeccomp:\t2\n",
		s.child().Pid: confined.FindString(statusOf(t, os.Getpid())),
	} {
		if got := confined.FindString(statusOf(t, pid)); got != want {
			t.Errorf("process %d has %q, want %q", pid, got, want)
		}
	}
	s.Stop()
	if want := fmt.Sprintf(`msg="the snapshot command says" root=photos text="photos made by %d"`, os.Geteuid()); !strings.Contains(s.Log(), want) {
		t.Errorf("no %s in\n%s", want, s.Log())
	}
	s.unused()
}

// unused makes sure that no file of a snapshot was open when that was released: it
// could not be unmounted.
func (s *snapshots) unused() {
	s.t.Helper()
	if text, err := os.ReadFile(s.note); err != nil || len(text) > 0 {
		s.t.Errorf("open when the snapshot was released: %s, %v", text, err)
	}
}

// TestSnapshotCut kills a client while files are sent.
func TestSnapshotCut(t *testing.T) {
	s := newSnapshots(t, "1ms")
	tr := rrtest.NewTree(t, s.live+"/large")
	for i := range 20 {
		tr.Sparse(fmt.Sprint(i), 50<<20, 10<<20, "island")
	}
	tr.Done()
	for range 3 {
		dst := rrtest.ScratchDir(t)
		command := rrtest.Client{Server: s.Server}.RsyncCommand("-a", "--bwlimit=4m", "rr:large/", dst)
		client := exec.Command(command[0], command[1:]...)
		client.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		check(t, client.Start())
		for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(5 * time.Millisecond) {
			if begun, _ := filepath.Glob(dst + "/.[0-9]*"); len(begun) > 0 { // .NAME.XXXXXX
				break
			}
			if time.Now().After(deadline) {
				t.Error("no file was begun")
				break
			}
		}
		syscall.Kill(-client.Process.Pid, syscall.SIGKILL)
		client.Wait()
		s.exist(0)
	}
	s.unused()
}

func statusOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	return string(text)
}

// TestSnapshotShared begins sessions close together, and one later.
func TestSnapshotShared(t *testing.T) {
	s := newSnapshots(t, "1h")
	release1, release2 := s.hold(), s.hold()
	s.exist(1)
	release1()
	dst := rrtest.TempDir(t)
	if res := rrtest.Run(t, s.Server, dst, "-a", "rr:"); res.Code != 0 {
		t.Error(res)
	}
	if text, _ := os.ReadFile(dst + "/file"); string(text) != "frozen\n" {
		t.Errorf("another snapshot: %q", text)
	}
	s.exist(1)
	release2()
	s.exist(0)

	s = newSnapshots(t, "1ms")
	release1, release2 = s.hold(), s.hold()
	s.exist(2)
	release1()
	s.exist(1)
	release2()
	s.exist(0)
}

// TestSnapshotCrash kills the server in the middle of a session, the broker, and
// ends a server with a session gently.
func TestSnapshotCrash(t *testing.T) {
	s := newSnapshots(t, "1ms")
	release := s.hold()
	s.exist(1)
	check(t, s.Process.Kill())
	s.exist(0)
	release()

	s = newSnapshots(t, "1ms")
	release = s.hold()
	s.exist(1)
	check(t, s.child().Kill())
	s.exist(0)
	release()
	dst := rrtest.TempDir(t)
	if res := rrtest.Run(t, s.Server, dst, "-a", "rr:"); res.Code == 0 || !strings.Contains(res.Stderr, "[E-SNAPSHOT]") {
		t.Error(res)
	}
	s.Stop()
	if want := "the snapshot broker has ended; restart the server"; !strings.Contains(s.Log(), want) {
		t.Errorf("no %s in\n%s", want, s.Log())
	}

	s = newSnapshots(t, "1ms")
	release = s.hold()
	s.exist(1)
	time.AfterFunc(100*time.Millisecond, release) // within the time to drain
	s.Stop()
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) > 0 {
		t.Errorf("after the server has ended: %v, %v", entries, err)
	}
}

// TestSnapshotFails pulls while the command does not do its work: the live tree is
// never served in place of a snapshot.
func TestSnapshotFails(t *testing.T) {
	s := newSnapshots(t, "1ms")
	outside := filepath.Dir(s.dir) + "/outside"
	tr := rrtest.NewTree(t, outside)
	tr.File("secret", "secret")
	tr.Done()
	for _, c := range []struct{ begin, log string }{
		{"echo no space left >&2; exit 3", "the command printed no path"},
		{"echo " + outside + "; cat", "allowed is a clean path below " + s.dir},
		{"echo " + s.live + "; cat", "allowed is a clean path below " + s.dir},
		{"echo " + s.dir + "/../outside; cat", "allowed is a clean path below " + s.dir},
		{"ln -s " + outside + " " + s.dir + "/link; echo " + s.dir + "/link; cat; rm " + s.dir + "/link; exit", "leads out of the tree"},
		{"echo " + s.dir + "/missing; cat; exit", "missing: no such file or directory"},
		{"touch " + s.dir + "/file; echo " + s.dir + "/file; cat; rm " + s.dir + "/file; exit", "file: not a directory"},
	} {
		check(t, os.WriteFile(s.live+"/begin", []byte(c.begin+"\n"), 0o644))
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s.Server, dst, "-aL", "rr:")
		if res.Code == 0 || !strings.Contains(res.Stderr, "rrserve: no snapshot of the served directory, see the server's log [E-SNAPSHOT]") {
			t.Errorf("%s: %v", c.begin, res)
		}
		if entries, err := os.ReadDir(dst); err != nil || len(entries) > 0 {
			t.Errorf("%s: something arrived: %v, %v", c.begin, entries, err)
		}
		s.exist(0)
		for deadline := time.Now().Add(rrtest.StartTimeout); !strings.Contains(s.Log(), c.log); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the log does not say %q:\n%s", c.begin, c.log, s.Log())
			}
		}
	}
	if want := `msg="the snapshot command says" root=photos text="no space left"`; !strings.Contains(s.Log(), want) {
		t.Errorf("no %s in\n%s", want, s.Log())
	}
	check(t, os.WriteFile(s.live+"/begin", nil, 0o644))
	if res := rrtest.Run(t, s.Server, rrtest.TempDir(t), "-a", "rr:"); res.Code != 0 {
		t.Errorf("after all that: %v", res)
	}
}
