//go:build page

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rrserve/internal/ledger"
	"rrserve/internal/rrtest"
	"rrserve/internal/status"
)

// Clients of the full page, in the order of the page: the stale ones first.
const (
	staleClient = "a-client-with-a-name-as-long-as-a-name-may-be-which-is-64-bytes"
	oddClient   = "<b>&\"odd\" + 100%"
)

// TestStatusPage clicks through the page of a real server in a real browser, with
// JavaScript and without, wide and narrow, light and dark, and compares what can be
// read there with /status.json.
func TestStatusPage(t *testing.T) {
	driver := startDriver(t)
	empty, full := emptyServer(t), fullServer(t)
	for _, javascript := range []bool{true, false} {
		t.Run(fmt.Sprintf("javascript %v", javascript), func(t *testing.T) {
			b := startBrowser(t, driver, javascript)
			b.open(empty.base + "/")
			if got := b.one("header .verdict"); got != "✔ Ready, nobody has pulled yet" {
				t.Errorf("the empty page: %q", got)
			}
			lookAround(b, "empty")
			b.open(full.base + "/")
			lookAround(b, "full")
			b.devtools("Emulation.setDeviceMetricsOverride", map[string]any{"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
			compare(t, b, full)
			clickThrough(t, b)
			clickRefresh(t, b)
			b.open(full.base + "/client?key=" + staleClient)
			lookAround(b, "client")
		})
	}
}

func lookAround(b *browser, name string) {
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 390} {
			b.look(name, width, scheme)
		}
	}
}

func emptyServer(t *testing.T) *watched {
	return startWatched(t, rrtest.ScratchDir(t), rrtest.TempDir(t))
}

// fullServer has clients with two weeks behind them, one that never came, one that
// is stale, one that pulls now, and one that just has.
func fullServer(t *testing.T) *watched {
	src, state, keys := rrtest.TempDir(t)+"/src", rrtest.TempDir(t), rrtest.TempDir(t)
	tr := rrtest.NewTree(t, src)
	tr.File("small", "x")
	tr.Sparse("large", 64<<20, 1<<20, "an island")
	tr.Done()
	remember(t, state+"/pulls")
	var config strings.Builder
	for _, name := range []string{staleClient, oddClient, "nas", "never", "pi"} {
		key := filepath.Join(keys, name)
		check(t, rrtest.NewKey(key))
		check(t, os.Rename(key, filepath.Join(state, name)))
		fmt.Fprintf(&config, "[clients.%q]\nstale_after = \"26h\"\n", name)
	}
	file := filepath.Join(state, "rrserve.toml")
	check(t, os.WriteFile(file, []byte(config.String()), 0o600))
	w := startWatchedWith(t, src, "--state-dir", state, "--keys-dir", keys, "--config", file)
	pi := w.WithKey(t, state+"/pi")
	for _, args := range [][]string{{"-an", "rr:"}, {"-a", "rr:small", "rr:missing"}, {"-a", "rr:small"}} {
		rrtest.Run(t, pi, rrtest.TempDir(t), args...)
	}
	slow := rrtest.Client{Server: w.WithKey(t, state+"/nas")}
	args := slow.RsyncCommand("-a", "--bwlimit=100k", "rr:", rrtest.TempDir(t))
	running := exec.Command(args[0], args[1:]...)
	running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // rsync is two processes, and ssh
	check(t, running.Start())
	t.Cleanup(func() {
		syscall.Kill(-running.Process.Pid, syscall.SIGKILL)
		running.Wait()
	})
	w.until("running", func(r *status.Report) bool {
		return len(r.Running) == 1 && r.Running[0].Listed > 0 && r.Results[status.Complete] == 1
	})
	return w
}

// remember writes the memory of a server that ran for two weeks.
func remember(t *testing.T, name string) {
	f, err := os.Create(name)
	check(t, err)
	defer f.Close()
	l, err := ledger.Open(f)
	check(t, err)
	now := time.Now()
	for day := 14; day >= 1; day-- {
		for i, client := range []string{staleClient, oddClient, "nas", "pi"} {
			p := ledger.Pull{
				Client: client, Began: now.Add(-time.Duration(day)*24*time.Hour + time.Duration(i*53)*time.Minute),
				Seconds: float64(40 + 7*(day*(i+3)%11)), Complete: true,
				Listed: 120_000, Sent: int64(day * 100), Bytes: int64(1+day*(i+5)%13) << 28,
			}
			switch {
			case i == 0 && day < 4:
				continue
			case day < 2:
			case (day+i)%9 == 3:
				p.Complete, p.Exit, p.Failed = false, 23, 17
			case (day+2*i)%13 == 5:
				p.Complete, p.Exit = false, 12
			}
			check(t, l.Add(p))
		}
	}
}

// compare reads the front page with the eyes of somebody who knows what the server
// knows.
func compare(t *testing.T, b *browser, w *watched) {
	t.Helper()
	var r status.Report
	_, text := w.get("/status.json")
	check(t, json.Unmarshal([]byte(text), &r))
	b.open(w.base + "/")
	rows := b.texts("section:first-of-type tbody tr")
	if len(rows) != len(r.Clients) {
		t.Fatalf("%d clients on the page, %d in /status.json", len(rows), len(r.Clients))
	}
	slices.SortStableFunc(r.Clients, func(x, y status.State) int {
		if x.Stale == y.Stale {
			return 0
		} else if x.Stale {
			return -1
		}
		return 1
	})
	stale := 0
	for i, c := range r.Clients {
		want := []string{c.Name}
		switch {
		case c.Stale:
			want = append(want, "✖ STALE")
			stale++
		case c.Known():
			want = append(want, "✔ fresh")
		default:
			want = append(want, "never")
		}
		for _, part := range want {
			if !strings.Contains(rows[i], part) {
				t.Errorf("the row of %s lacks %q: %q", c.Name, part, rows[i])
			}
		}
	}
	if got, want := b.one("header .verdict"), fmt.Sprintf("✖ %d of %d clients stale: %s", stale, len(r.Clients), staleClient); got != want {
		t.Errorf("verdict %q, want %q", got, want)
	}
	if title := b.get("title"); title != "rrserve - 1 stale" {
		t.Errorf("title %q", title)
	}
	if got := b.one("header .soft"); !strings.Contains(got, strings.Join(r.Sandbox, ", ")) {
		t.Errorf("%q does not name the walls %v", got, r.Sandbox)
	}
	if got := b.texts("h2 + section tbody tr"); !slices.ContainsFunc(got, func(row string) bool {
		return strings.HasPrefix(row, "nas 127.0.0.1 src") && strings.Contains(row, " of 3 ")
	}) {
		t.Errorf("no row for the pull that runs: %q", got)
	}
}

// clickThrough follows the links of the front page, there and back.
func clickThrough(t *testing.T, b *browser) {
	t.Helper()
	front := b.get("url")
	links := b.texts("a")
	if len(links) != 3+6+1+50 { // heading, stale client, refresh; clients, running, newest pulls
		t.Fatalf("%d links: %q", len(links), links)
	}
	seen := make(map[string]bool)
	for i, name := range links {
		if seen[name] {
			continue
		}
		seen[name] = true
		b.click(b.all("a")[i])
		switch name {
		case "rrserve":
			if got := b.get("url"); got != front {
				t.Errorf("the heading leads to %s", got)
			}
		case "Refresh every 10 seconds":
			if got := b.get("url"); !strings.HasSuffix(got, "/?refresh=10") {
				t.Errorf("%s leads to %s", name, got)
			}
		default:
			if got := b.one("h1"); !strings.HasPrefix(got, "rrserve / "+strings.TrimSuffix(name, "…")) {
				t.Errorf("%s leads to %q", name, got)
			}
			if pulls := len(b.all("section tbody tr")); (pulls == 0) != (name == "never" || name == "(unnamed)") {
				t.Errorf("%s: %d pulls", name, pulls)
			}
			b.click(b.all("main a")[0])
			if got := b.get("url"); got != front {
				t.Errorf("the way back leads to %s", got)
			}
		}
		b.open(front)
	}
}

// clickRefresh sees that the page comes again by itself, and that this can be
// stopped.
func clickRefresh(t *testing.T, b *browser) {
	t.Helper()
	b.open(strings.TrimSuffix(b.get("url"), "/") + "/?refresh=5")
	old := b.all("h1")[0]
	for deadline := time.Now().Add(time.Minute); slices.Contains(b.all("h1"), old); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the page does not come again")
		}
	}
	if got := b.one("nav"); got != "Refreshed every 5 seconds. Stop" {
		t.Errorf("%q", got)
	}
	b.click(b.all("nav a")[0])
	if got := b.one("nav"); got != "Refresh every 10 seconds" {
		t.Errorf("stopped: %q", got)
	}
}
