// Package pull_test runs the example of the pulling side against a stand-in for
// rsync.
package pull_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeRsync notes its arguments, makes the copy that its last argument names,
// and ends as $FAKE_STATUS says. Status 12 leaves an unfinished copy, 5 none.
const fakeRsync = `#!/bin/sh
printf '%s\n' "$@" >"$FAKE_ARGS"
for last; do :; done
[ "$FAKE_STATUS" = 5 ] || { mkdir -p "$last/ro" && echo data >"$last/ro/file" && chmod 0555 "$last/ro"; }
exit "$FAKE_STATUS"
`

// fakeDate counts up, so that every run has a name of its own.
const fakeDate = `#!/bin/sh
n=$(cat "$FAKE_CLOCK" 2>/dev/null || echo 10)
echo $((n + 1)) >"$FAKE_CLOCK"
echo "2026-11-23T0000$n"
`

type site struct {
	t                     *testing.T
	dir, dest, conf, args string
	status                string // of the stand-in
}

func newSite(t *testing.T, conf string) *site {
	dir := t.TempDir()
	s := &site{t: t, dir: dir, dest: filepath.Join(dir, "dest dir"), conf: filepath.Join(dir, "main.conf"), args: filepath.Join(dir, "args"), status: "0"}
	t.Cleanup(s.unlock)
	s.write("bin/rsync", fakeRsync, 0o755)
	s.write("bin/date", fakeDate, 0o755)
	s.write("main.conf", "SOURCE=rrserve@main:\nDEST='"+s.dest+"'\nKEY=/etc/k\nKNOWN_HOSTS=/etc/kh\n"+conf, 0o644)
	return s
}

func (s *site) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	name = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

// unlock lets the test's directory be removed by an ordinary user too.
func (s *site) unlock() {
	copies, _ := filepath.Glob(filepath.Join(s.dest, "*", "ro"))
	for _, dir := range append(copies, filepath.Join(s.dest, ".incomplete", "ro")) {
		_ = os.Chmod(dir, 0o755) // most are not there
	}
}

// run runs the script and returns its exit status and what it says.
func (s *site) run(args ...string) (int, string) {
	s.t.Helper()
	script, err := filepath.Abs("rrserve-pull")
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(script, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"),
		"FAKE_ARGS="+s.args, "FAKE_CLOCK="+filepath.Join(s.dir, "clock"), "FAKE_STATUS="+s.status)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// want runs the script on its configuration and checks the exit status.
func (s *site) want(status int) string {
	s.t.Helper()
	got, out := s.run(s.conf)
	if got != status {
		s.t.Fatalf("exit status %d, want %d:\n%s", got, status, out)
	}
	return out
}

// rsyncArgs returns what the stand-in was called with.
func (s *site) rsyncArgs() []string {
	s.t.Helper()
	text, err := os.ReadFile(s.args)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// copies lists DEST.
func (s *site) copies() (names []string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.dest)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (s *site) latest() string {
	s.t.Helper()
	name, err := os.Readlink(filepath.Join(s.dest, "latest"))
	if err != nil {
		s.t.Fatal(err)
	}
	return name
}

func TestFirstAndSecondCopy(t *testing.T) {
	s := newSite(t, "PORT=22\nOPTIONS='--bwlimit=5m --exclude=*.tmp'\n")
	s.want(0)
	want := []string{
		"--archive", "--hard-links", "--numeric-ids", "--delete", "--stats", "--human-readable", "--timeout=600", "--partial-dir=.rsync-partial",
		"--bwlimit=5m", "--exclude=*.tmp",
		"-e", "ssh -p 22 -i /etc/k -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/kh",
		"rrserve@main:", ".incomplete/",
	}
	if diff := cmp.Diff(want, s.rsyncArgs()); diff != "" {
		t.Errorf("first call of rsync (-want +got):\n%s", diff)
	}
	s.want(0)
	if linkDest := "--link-dest=" + s.dest + "/latest"; !slices.Contains(s.rsyncArgs(), linkDest) {
		t.Errorf("second call of rsync without %s: %q", linkDest, s.rsyncArgs())
	}
	if diff := cmp.Diff([]string{".lock", "2026-11-23T000010", "2026-11-23T000011", "latest"}, s.copies()); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
	if got := s.latest(); got != "2026-11-23T000011" {
		t.Errorf("latest is %s", got)
	}
}

// A second copy within a second went into the first.
func TestSameSecond(t *testing.T) {
	s := newSite(t, "")
	s.want(0)
	s.write("bin/sleep", "#!/bin/sh\n", 0o755)
	if err := os.Remove(filepath.Join(s.dir, "clock")); err != nil {
		t.Fatal(err)
	}
	s.want(0)
	want := []string{".lock", "2026-11-23T000010", "2026-11-23T000011", "latest"}
	if diff := cmp.Diff(want, s.copies()); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		rsync  string
		want   int
		latest string // after a good first copy
	}{
		{"24", 0, "2026-11-23T000011"},
		{"23", 23, "2026-11-23T000011"},
		{"12", 12, "2026-11-23T000010"},
		{"5", 5, "2026-11-23T000010"},
		{"255", 255, "2026-11-23T000010"},
	} {
		t.Run(c.rsync, func(t *testing.T) {
			s := newSite(t, "")
			s.want(0)
			s.status = c.rsync
			s.want(c.want)
			if got := s.latest(); got != c.latest {
				t.Errorf("latest is %s, want %s", got, c.latest)
			}
		})
	}
}

func TestNothingCopied(t *testing.T) {
	s := newSite(t, "")
	s.write("bin/rsync", "#!/bin/sh\nexit 23\n", 0o755)
	s.want(23)
	if got := s.copies(); !slices.Equal(got, []string{".lock"}) {
		t.Errorf("copies: %q", got)
	}
}

func TestKeep(t *testing.T) {
	s := newSite(t, "KEEP=2\n")
	for range 3 {
		s.want(0)
	}
	want := []string{".lock", "2026-11-23T000011", "2026-11-23T000012", "latest"}
	if diff := cmp.Diff(want, s.copies()); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
	// A copy with holes pushes nothing out.
	s.status = "23"
	s.want(23)
	want = []string{".lock", "2026-11-23T000011", "2026-11-23T000012", "2026-11-23T000013", "latest"}
	if diff := cmp.Diff(want, s.copies()); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
}

func TestLock(t *testing.T) {
	s := newSite(t, "")
	if err := os.MkdirAll(s.dest, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(s.dest, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	s.want(75)
	if _, err := os.Stat(s.args); err == nil {
		t.Error("rsync ran beside the previous run")
	}
}

func TestUsage(t *testing.T) {
	s := newSite(t, "")
	if got, out := s.run(); got != 2 {
		t.Errorf("no argument: exit status %d, want 2:\n%s", got, out)
	}
	if got, out := s.run("nowhere.conf"); got != 2 {
		t.Errorf("no configuration: exit status %d, want 2:\n%s", got, out)
	}
	s.write("main.conf", "SOURCE=x:\nDEST=/nowhere\nKEY='/a b'\nKNOWN_HOSTS=/c\n", 0o644)
	if got, out := s.run(s.conf); got != 2 {
		t.Errorf("key with a space: exit status %d, want 2:\n%s", got, out)
	}
}

// The configuration that comes with it is complete.
func TestMainConf(t *testing.T) {
	s := newSite(t, "")
	conf, err := os.ReadFile("main.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), "DEST=/srv/backup/main", "DEST='"+s.dest+"'", 1)
	s.write("main.conf", text, 0o644)
	s.want(0)
	if args := s.rsyncArgs(); !slices.Contains(args, "rrserve@main:") {
		t.Errorf("rsync was called with %q", args)
	}
}
