package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/rrtest"
)

// auditLine is one line of --audit-log, as docs/configuration.md says it is.
var auditLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ send 127\.0\.0\.1 \[127\.0\.0\.1\] \S+ \(\S+\) (.*) (\d+)$`)

// audited reads an audit log: the files in it, with their sizes, sorted.
func audited(t *testing.T, name string) (files []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	check(t, err)
	for line := range strings.Lines(string(data)) {
		m := auditLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("not a line of the audit log: %q", line)
		}
		files = append(files, m[1]+" "+m[2])
	}
	slices.Sort(files)
	return files
}

// TestAuditLog pulls from a server in its sandbox: each file that was sent has its
// line, whatever its name is, and a file that was already there has none. The log
// is then rotated with copytruncate.
func TestAuditLog(t *testing.T) {
	src, dst := rrtest.TempDir(t)+"/src", rrtest.TempDir(t)
	tr := rrtest.NewTree(t, src)
	want := []string{`a b 5`, `line\#0122020-01-01T00:00:00Z send 127.0.0.1 [127.0.0.1] x (x) forged 1`, `sub/\#377 0`}
	tr.File("a b", "hello")
	tr.File("line\n2020-01-01T00:00:00Z send 127.0.0.1 [127.0.0.1] x (x) forged", "x")
	tr.Mkdir("sub")
	tr.File("sub/\xff", "")
	tr.Mkdir("many")
	for i := range 300 { // more than a session keeps back
		tr.File(fmt.Sprintf("many/%d", i), "many")
		want = append(want, fmt.Sprintf("many/%d 4", i))
	}
	tr.Done()
	slices.Sort(want)
	log := filepath.Join(rrtest.TempDir(t), "audit.log")
	s := rrtest.Rrserve(t, src, rrtest.WithArgs("--audit-log", log))
	if res := rrtest.Run(t, s, dst, "-a", "rr:"); res.Code != 0 {
		t.Fatal(res)
	}
	waitFinished(t, s, 1)
	if diff := cmp.Diff(want, audited(t, log)); diff != "" {
		t.Errorf("the first pull (-want +got):\n%s", diff)
	}
	check(t, os.Truncate(log, 0)) // what copytruncate does
	check(t, os.Remove(dst+"/a b"))
	rrtest.Run(t, s, dst, "-an", "rr:") // which sends nothing
	if res := rrtest.Run(t, s, dst, "-a", "rr:"); res.Code != 0 {
		t.Fatal(res)
	}
	waitFinished(t, s, 3)
	if diff := cmp.Diff([]string{"a b 5"}, audited(t, log)); diff != "" {
		t.Errorf("after rotation (-want +got):\n%s", diff)
	}
}

// waitFinished waits until so many sessions have their record in the log.
func waitFinished(t *testing.T, s *rrtest.Server, n int) {
	t.Helper()
	waitLog(t, s, func(log string) bool { return strings.Count(log, "msg=finished") >= n })
}

// waitLog waits until the log is as it should be.
func waitLog(t *testing.T, s *rrtest.Server, ok func(log string) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(s.Log()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log:\n%s", s.Log())
		}
	}
}

// TestSessionRecord compares the record of a session with what the documentation
// says is in it.
func TestSessionRecord(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	tr := rrtest.NewTree(t, src)
	tr.File("file", "hello")
	tr.Done()
	s := rrtest.Rrserve(t, src, rrtest.WithArgs("--log-format", "json", "--checksum-cache", rrtest.TempDir(t)+"/sums"))
	rrtest.Run(t, s, rrtest.TempDir(t), "-a", "rr:file", "rr:missing")
	rrtest.Run(t, s, rrtest.TempDir(t), "-ac", "rr:")
	rrtest.Run(t, s, rrtest.TempDir(t), "-a", "rr::nothing")
	rrtest.Run(t, s, rrtest.TempDir(t), "-a", "rr::src")
	rrtest.Run(t, s, rrtest.TempDir(t), "-a", "--remove-source-files", "rr:")
	waitLog(t, s, func(log string) bool { return strings.Contains(log, "E-OPTION") })

	got := make(map[string]bool)
	var first map[string]any
	for line := range strings.Lines(s.Log()) {
		var record map[string]any
		check(t, json.Unmarshal([]byte(line), &record))
		if m := record["msg"]; m == "finished" || m == "refused" {
			for name := range record {
				got[name] = true
			}
			if first == nil {
				first = record
			}
		}
	}
	got["error"] = true // of sessions that broke off
	for _, name := range []string{"time", "level", "msg"} {
		delete(got, name)
	}
	if diff := cmp.Diff(documented(t, "## What is logged"), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("attributes (-documented +logged):\n%s", diff)
	}
	for name, want := range map[string]any{
		"msg": "finished", "from": "127.0.0.1", "root": "src", "status": 23.0,
		"protocol": 32.0, "listed": 1.0, "sent": 1.0, "unreadable": 1.0, "vanished": 0.0, "literal_bytes": 5.0,
	} {
		if first[name] != want {
			t.Errorf("%s: %v, want %v", name, first[name], want)
		}
	}
	if fp, _ := first["fingerprint"].(string); !strings.HasPrefix(fp, "SHA256:") {
		t.Errorf("fingerprint %q", fp)
	}
	if client, _ := first["client"].(string); !strings.HasPrefix(client, "SSH-2.0-OpenSSH_") {
		t.Errorf("client %q", client)
	}
}

// TestRefusalCodes is refused for every reason that the documentation has a code
// for, and finds that code in the log.
func TestRefusalCodes(t *testing.T) {
	src, dir := rrtest.ScratchDir(t), rrtest.TempDir(t)
	key := filepath.Join(dir, "early")
	check(t, rrtest.NewKey(key))
	check(t, os.Mkdir(dir+"/keys", 0o755))
	check(t, os.Rename(key+".pub", dir+"/keys/early.pub"))
	frozen := filepath.Join(dir, "frozen")
	check(t, rrtest.NewKey(frozen))
	check(t, os.Rename(frozen+".pub", dir+"/keys/frozen.pub"))
	now := time.Now()
	hours := now.Add(2*time.Hour).Format("15:04") + "-" + now.Add(3*time.Hour).Format("15:04")
	check(t, os.WriteFile(dir+"/toml", []byte("[clients.early]\nhours = [\""+hours+"\"]\n[clients.frozen]\nroot = \"frozen\"\n"+
		"[roots.frozen]\npath = \""+dir+"\"\nsnapshot_cmd = [\"/bin/false\"]\nsnapshot_dir = \""+dir+"/keys\"\n"), 0o600))
	s := rrtest.Rrserve(t, src, rrtest.WithArgs("--keys-dir", dir+"/keys", "--config", dir+"/toml"))
	early := s.WithKey(t, key)
	for _, tt := range []struct {
		server  *rrtest.Server
		command []string // none: a shell
		status  int
		code    string
	}{
		{s, []string{"rsync --server -logDtpre.iLsfxCIvu . x"}, 1, "E-RO"},
		{s, []string{"rsync --server --sender -logDtpre.iLsfxCIvu --remove-source-files . ."}, 1, "E-OPTION"},
		{s, []string{"date"}, 127, "E-COMMAND"},
		{s, []string{"rsync --server --sender -logDtpre.iLsfxCIvu . $(date)"}, 1, "E-QUOTE"},
		{s, []string{"rsync --server --sender -logDtpre.iLsfxCIvu . " + strings.Repeat("a ", 1001)}, 1, "E-LIMIT"},
		{early, []string{"rsync --server --sender -logDtpre.iLsfxCIvu . ."}, 5, "E-HOURS"},
		{s.WithKey(t, frozen), []string{"rsync --server --sender -logDtpre.iLsfxCIvu . ."}, 3, "E-SNAPSHOT"},
		{s, nil, 1, "E-SHELL"},
	} {
		res := rrtest.Client{Server: tt.server}.SSH(t, "ssh", append([]string{"-T", rrtest.Host}, tt.command...)...)
		if res.Code != tt.status || tt.code != "E-SHELL" && !strings.Contains(res.Stderr, "["+tt.code+"]") {
			t.Errorf("%s, status %d: %v", tt.code, tt.status, res)
		}
	}
	// These are told in the session.
	rrtest.Run(t, s, dir+"/dst", "-a", "rr:../x")     // E-PATH
	rrtest.Run(t, s, dir+"/dst", "-a", "rr::nothing") // E-DAEMON

	text, err := os.ReadFile("../docs/configuration.md")
	check(t, err)
	for _, code := range refusalCode.FindAllString(string(text), -1) {
		waitLog(t, s, func(log string) bool {
			return strings.Contains(log, " code="+code+" ") || strings.Contains(log, " code="+code+"\n")
		})
	}
}

var refusalCode = regexp.MustCompile(`\bE-[A-Z]+`)

var (
	tableCell = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
	nameInIt  = regexp.MustCompile("`([a-z_]+)`")
)

// documented are the names in the first column of the tables of a section of
// docs/configuration.md, sorted.
func documented(t *testing.T, section string) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/configuration.md")
	check(t, err)
	_, rest, _ := strings.Cut(string(text), "\n"+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	for _, row := range tableCell.FindAllStringSubmatch(rest, -1) {
		for _, m := range nameInIt.FindAllStringSubmatch(row[1], -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}
