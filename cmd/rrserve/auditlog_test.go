package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/sshsrv"
	"rrserve/internal/vfs"
)

// disk is a file on a disk with so much room.
type disk struct {
	mu   sync.Mutex
	text bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.room -= n
	d.text.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func (d *disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// auditTo returns the trail of a session of the client "my pi".
func auditTo(d *disk, log *bytes.Buffer) *trail {
	a := &auditLog{w: d, log: slog.New(slog.NewTextHandler(log, nil)), now: func() time.Time { return time.Unix(1795763579, 0) }}
	x := &sshsrv.Exec{Remote: netip.MustParseAddrPort("192.0.2.1:4711")}
	return a.begin(x, &grant{client: "my pi", root: &servedRoot{name: "srv"}})
}

func sendAll(t *testing.T, tr *trail, names ...string) {
	t.Helper()
	for _, name := range names {
		p, err := vfs.ParsePath(name)
		if err != nil {
			t.Fatal(err)
		}
		tr.sent(p, int64(len(name)))
	}
}

func TestAuditLines(t *testing.T) { synctest.Test(t, testAuditLines) }

func testAuditLines(t *testing.T) {
	d, log := &disk{room: 1 << 20}, new(bytes.Buffer)
	tr := auditTo(d, log)
	sendAll(t, tr, "a b", "sub/é", "x\n2026-11-27T00:00:00Z send", "\xff\x1b\u202e", `\#012 \#a \`)
	if d.String() != "" {
		t.Error("a line was not kept back")
	}
	tr.flush()
	tr.flush()
	head := "2026-11-27T07:12:59Z send 192.0.2.1 [192.0.2.1] srv (my\\#040pi) "
	want := head + "a b 3\n" + head + "sub/é 6\n" + head + "x\\#0122026-11-27T00:00:00Z send 27\n" +
		head + "\\#377\\#033\\#342\\#200\\#256 5\n" + head + "\\#134#012 \\#a \\ 11\n"
	if diff := cmp.Diff(want, d.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := strings.Repeat("x", 4000)
	sendAll(t, tr, long, long, long)
	if len(d.String()) < auditBuffer {
		t.Error("a full buffer was kept back")
	}
	d.text.Reset()
	sendAll(t, tr, "late")
	time.Sleep(auditDelay)
	synctest.Wait()
	if d.String() == "" {
		t.Error("a line is kept back for ever")
	}
}

// What is escaped can be got back, so two names never give one line.
func TestEscapeIsReversible(t *testing.T) {
	byte3 := regexp.MustCompile(`\\#([0-7]{3})`)
	for _, name := range []string{"", `\#134`, `\\#012`, `\#\#012`, "\\#01\n2", "\xff\xfe", "a\tb", `\#999`, "\u00a0"} {
		text := escape(name)
		got := byte3.ReplaceAllStringFunc(text, func(m string) string {
			n, err := strconv.ParseUint(m[2:], 8, 8)
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			return string([]byte{byte(n)})
		})
		if got != name || strings.ContainsAny(text, "\n\t") {
			t.Errorf("%q is written %s, which is %q", name, text, got)
		}
	}
}

// A disk that is full costs lines, and one complaint; the first line afterwards
// is whole.
func TestAuditFullDisk(t *testing.T) { synctest.Test(t, testAuditFullDisk) }

func testAuditFullDisk(t *testing.T) {
	d, log := &disk{}, new(bytes.Buffer)
	tr := auditTo(d, log)
	sendAll(t, tr, "one")
	tr.flush()
	d.room = 100 // one line and a half
	sendAll(t, tr, "two", "three", "four")
	tr.flush()
	d.room = 1 << 20
	sendAll(t, tr, "five")
	tr.flush()
	lines := strings.Split(strings.TrimSuffix(d.String(), "\n"), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], " two 3") || !strings.HasSuffix(lines[2], " five 4") || !strings.HasPrefix(lines[2], "2026-") {
		t.Errorf("the file:\n%s", d)
	}
	if n := strings.Count(log.String(), "the audit log cannot be written"); n != 1 {
		t.Errorf("%d complaints:\n%s", n, log)
	}
	if !strings.Contains(log.String(), `msg="the audit log is written again" lost=3`) {
		t.Errorf("lines lost are not counted:\n%s", log)
	}
}

func TestAuditFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	for range 2 {
		a, err := openAuditLog(name, slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		a.write([]byte("line\n"))
	}
	if data, err := os.ReadFile(name); string(data) != "line\nline\n" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v, %v: others can read it", info, err)
	}
	var config configError
	for _, bad := range []string{t.TempDir(), "/dev/null", filepath.Join(name, "below")} {
		if _, err := openAuditLog(bad, slog.Default()); !errors.As(err, &config) || !strings.Contains(err.Error(), "--audit-log "+bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if a, err := openAuditLog("-", slog.Default()); err != nil || a.w != os.Stdout {
		t.Errorf("-: %v, %v", a, err)
	}
	if a, err := openAuditLog("", slog.Default()); a != nil || err != nil {
		t.Errorf("no name: %v, %v", a, err)
	}
}
