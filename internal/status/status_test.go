package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/ledger"
)

// world is a board with a clock that stands still until it is set.
type world struct {
	*Board
	t       *testing.T
	now     time.Time
	clients []Client
	ready   error
}

var started = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, clients ...Client) *world {
	t.Helper()
	l, err := ledger.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: started, clients: clients}
	w.Board = NewBoard(Facts{
		Version: "1.2.3", Started: started,
		Clients: func() []Client { return w.clients },
		Ready:   func() error { return w.ready },
		Now:     func() time.Time { return w.now },
	}, l)
	w.Board.Started([]string{"landlock", "seccomp"}, func() map[string]uint64 { return map[string]uint64{"max_sessions": 3} })
	return w
}

// pull lets a client pull for a minute, up to now.
func (w *world) pull(client, result string, exit int) {
	w.t.Helper()
	end := w.Begin(Session{Client: client, From: "192.0.2.1", Root: "srv", Began: w.now.Add(-time.Minute)}, func() Progress { return Progress{} })
	o := Outcome{Result: result, Pull: ledger.Pull{Client: client, Began: w.now.Add(-time.Minute), Seconds: 60, Exit: exit, Listed: 10, Sent: 5, Bytes: 1 << 20}, Sums: Sums{"computed": 7, "differing": 1}}
	if result == Partial {
		o.Pull.Failed = 1
	}
	if err := end(o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(path string) (int, string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec.Code, rec.Body.String()
}

func (w *world) wantFreshness(code int, want string) {
	w.t.Helper()
	gotCode, got := w.get("/freshness")
	if diff := cmp.Diff(want, got); gotCode != code || diff != "" {
		w.t.Errorf("at %v: status %d, want %d (-want +got):\n%s", w.now, gotCode, code, diff)
	}
}

// A pull that was entered by a clock that was years ahead does not keep its client
// fresh for years.
func TestFreshnessAfterClockWasWrong(t *testing.T) {
	w := newWorld(t, Client{Name: "pi", Root: "srv", StaleAfter: 26 * time.Hour})
	w.now = started.Add(100_000 * time.Hour)
	w.pull("pi", Complete, 0)
	for _, tt := range []struct {
		after time.Duration
		code  int
	}{
		{100_000*time.Hour - time.Minute, 200}, // set back a little
		{26 * time.Hour, 200},
		{27 * time.Hour, 503},
	} {
		w.now = started.Add(tt.after)
		if code, text := w.get("/freshness"); code != tt.code {
			t.Errorf("%v after the start: %d %s", tt.after, code, text)
		}
	}
}

// Freshness turns red when the last complete pull is too old, and green with the
// next one. What was no complete pull changes nothing.
func TestFreshness(t *testing.T) {
	w := newWorld(t, Client{Name: "pi", Root: "srv", StaleAfter: 26 * time.Hour}, Client{Name: "nas", Root: "srv"})
	w.wantFreshness(200, "fresh nas: last complete pull never, 0s\nfresh pi: last complete pull never, 0s of 1d 2h\n")
	w.now = started.Add(26 * time.Hour)
	w.wantFreshness(200, "fresh nas: last complete pull never, 1d 2h\nfresh pi: last complete pull never, 1d 2h of 1d 2h\n")
	w.now = w.now.Add(time.Second)
	w.wantFreshness(503, "STALE pi: last complete pull never, 1d 2h of 1d 2h\nfresh nas: last complete pull never, 1d 2h\n")
	for _, tt := range []struct {
		result string
		exit   int
	}{
		{Incomplete, 12}, // the client was killed
		{Partial, 23},
		{DryRun, 0},
		{Refused, 1},
		{Probe, 0},
	} {
		w.pull("pi", tt.result, tt.exit)
		if code, _ := w.get("/freshness"); code != 503 {
			t.Errorf("a pull that was %s counts as a success", tt.result)
		}
	}
	w.pull("pi", Complete, 0)
	w.wantFreshness(200, "fresh nas: last complete pull never, 1d 2h\nfresh pi: last complete pull 2026-11-28T14:00:01Z, 0s of 1d 2h\n")
	w.now = w.now.Add(26*time.Hour + time.Second)
	if code, text := w.get("/freshness?key=pi"); code != 503 || text != "STALE pi: last complete pull 2026-11-28T14:00:01Z, 1d 2h of 1d 2h\n" {
		t.Errorf("one key: %d %s", code, text)
	}
	if code, _ := w.get("/freshness?key=nas"); code != 200 {
		t.Errorf("the other key: %d", code)
	}
	if code, _ := w.get("/freshness?key=nobody"); code != 404 {
		t.Errorf("no key: %d", code)
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/livez", "/readyz"} {
		if code, text := w.get(path); code != 200 || text != "ok\n" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	w.ready = errors.New("the root cannot be opened")
	if code, text := w.get("/readyz"); code != 503 || text != "the root cannot be opened\n" {
		t.Errorf("not ready: %d %s", code, text)
	}
	if code, _ := w.get("/livez"); code != 200 {
		t.Errorf("alive although not ready: %d", code)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, Client{Name: "pi", Root: "srv", StaleAfter: time.Hour}, Client{Name: "nas", Root: "srv"})
	w.pull("pi", Complete, 0)
	w.now = w.now.Add(2 * time.Hour)
	w.pull("pi", Partial, 23)
	w.Begin(Session{Client: "pi"}, func() Progress { return Progress{} })
	_, text := w.get("/metrics")
	for _, want := range []string{
		`rrserve_build_info{version="1.2.3"} 1`,
		`rrserve_ready 1`,
		`rrserve_sandbox_wall{wall="landlock"} 1`,
		`rrserve_limit_hits_total{limit="max_sessions"} 3`,
		`rrserve_checksums_total{what="computed"} 14`,
		`rrserve_checksums_total{what="differing"} 2`,
		`rrserve_sessions_running 1`,
		`rrserve_sessions_total{result="complete"} 1`,
		`rrserve_sessions_total{result="partial"} 1`,
		`rrserve_sessions_total{result="refused"} 0`,
		`rrserve_sent_bytes_total{key="pi"} 2.097152e+06`,
		`rrserve_sent_files_total{key="pi"} 10`,
		`rrserve_failed_files_total{key="pi"} 1`,
		`rrserve_failed_files_total{key="nas"} 0`,
		`rrserve_last_success_timestamp_seconds{key="pi"} 1.7957808e+09`,
		`rrserve_last_pull_timestamp_seconds{key="pi"} 1.795788e+09`,
		`rrserve_stale_after_seconds{key="pi"} 3600`,
		`rrserve_stale{key="pi"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Any number of names is counted in a bounded number of series.
func TestManyNames(t *testing.T) {
	w := newWorld(t)
	for i := range maxClients + 50 {
		w.pull(fmt.Sprint("c", i), Refused, 1)
	}
	if len(w.Board.clients) != maxClients+1 {
		t.Errorf("%d clients are counted", len(w.Board.clients))
	}
	// Who is counted with the others had a count of its own, which stayed at 0.
	w.clients = append(w.clients, Client{Name: "late", Root: "srv"})
	w.pull("late", Complete, 1)
	if _, text := w.get("/metrics"); strings.Contains(text, `rrserve_sent_bytes_total{key="late"}`) {
		t.Error("a client that is counted with the others has a count of its own")
	}
}

// full is a board with all that a page can show.
func full(t *testing.T) *world {
	w := newWorld(t)
	for i := range 20 {
		name := fmt.Sprintf("client-%02d", i)
		switch i {
		case 3:
			name = "a client with the longest name that anybody may have given to it"
		case 4:
			name = "<script>alert(1)</script>"
		}
		w.clients = append(w.clients, Client{Name: name, Root: "srv", StaleAfter: 26 * time.Hour})
	}
	w.now = started.Add(-14 * 24 * time.Hour)
	for day := range 14 {
		for i, c := range w.clients {
			w.now = started.Add(time.Duration(day-14)*24*time.Hour + time.Duration(14*60+7*i)*time.Minute)
			switch {
			case i == 7 && day > 8, i == 9:
			case (i*day)%11 == 10:
				w.pull(c.Name, Incomplete, 12)
			case i == 12 && day%3 == 1:
				w.pull(c.Name, Partial, 23)
			default:
				w.pull(c.Name, Complete, 0)
			}
		}
	}
	w.now = started
	w.Begin(Session{Client: "client-02", From: "192.0.2.17", Root: "srv", Began: started.Add(-90 * time.Second)}, func() Progress { return Progress{120_000, 4711, 3 << 30} })
	w.Begin(Session{Client: "client-05", From: "2001:db8::17", Root: "srv", Began: started.Add(-time.Second)}, func() Progress { return Progress{} })
	return w
}

// The pages hold what they should, escaped, and every link leads somewhere.
func TestPages(t *testing.T) {
	w := full(t)
	_, page := w.get("/")
	for _, want := range []string{"4 of 20 clients stale", "client-00", "&lt;script&gt;alert(1)&lt;/script&gt;", "4711 of 120000", "3.0 GiB", "partial, 1 failed", "<svg", "landlock, seccomp"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("a name became part of the page")
	}
	links := regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(links) < 20 {
		t.Errorf("only %d links", len(links))
	}
	for _, m := range links {
		if code, body := w.get(strings.ReplaceAll(m[1], "&#43;", "+")); code != 200 || !strings.Contains(body, "</html>") {
			t.Errorf("%s: status %d", m[1], code)
		}
	}
	_, client := w.get("/client?key=client-12")
	for _, want := range []string{"<h1>", "client-12", "partial, 1 failed", "Root: srv", "All clients"} {
		if !strings.Contains(client, want) {
			t.Errorf("the client's page lacks %s", want)
		}
	}
	if code, _ := w.get("/client?key=nobody"); code != 404 {
		t.Errorf("a client that does not exist: %d", code)
	}
	_, empty := newWorld(t).get("/")
	if !strings.Contains(empty, "nobody has pulled yet") || strings.Contains(empty, "<svg") {
		t.Error("the empty page does not say so")
	}
	if _, text := w.get("/?refresh=10"); !strings.Contains(text, `<meta http-equiv="refresh" content="10">`) {
		t.Error("no refresh")
	}
	if _, text := w.get("/?refresh=1"); strings.Contains(text, "http-equiv") {
		t.Error("a refresh that is not offered")
	}
}

// Nothing can be changed, and a browser is told to do nothing but show.
func TestReadOnly(t *testing.T) {
	w := full(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, path := range []string{"/", "/metrics", "/freshness", "/status.json", "/client?key=client-00"} {
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader("x")))
			if rec.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, rec.Code)
			}
		}
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if csp := rec.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}

// The terminal shows what the page shows, by way of JSON.
func TestText(t *testing.T) {
	w := newWorld(t, Client{Name: "pi", Root: "srv", StaleAfter: time.Hour}, Client{Name: "nas", Root: "srv"})
	w.pull("pi", Complete, 0)
	w.now = w.now.Add(2*time.Hour + time.Minute)
	w.pull("pi", Incomplete, 30)
	w.Begin(Session{Client: "nas", From: "192.0.2.17", Root: "srv", Began: w.now.Add(-90 * time.Second)}, func() Progress { return Progress{100, 50, 5 << 20} })
	_, text := w.get("/status.json")
	var r Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := WriteText(&out, &r); err != nil {
		t.Fatal(err)
	}
	want := `rrserve 1.2.3, up 2h 1m, ready: ok
sandbox: landlock, seccomp

CLIENT  STATE    LAST COMPLETE PULL  TOOK  SENT     LAST RESULT
nas     waiting  never               -     -        -
pi      STALE    2h 1m ago           1m    1.0 MiB  ended early, code 30

RUNNING  FROM        ROOT  SINCE   SENT     FILES SENT OF LISTED
nas      192.0.2.17  srv   1m 30s  5.0 MiB  50 of 100
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := WriteText(brokenPipe{}, &r); err == nil {
		t.Error("a write that fails is not noticed")
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
