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
	s := rrtest.Rrserve(t, src, rrtest.WithArgs("--log-format", "json"))
	rrtest.Run(t, s, rrtest.TempDir(t), "-a", "rr:file", "rr:missing")
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
