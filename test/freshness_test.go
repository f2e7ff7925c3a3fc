package test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rrserve/internal/rrtest"
	"rrserve/internal/status"
)

var httpAddress = regexp.MustCompile(`msg="answering over HTTP" address=(127\.0\.0\.1:[0-9]+)`)

// watched is a server with --metrics-listen.
type watched struct {
	*rrtest.Server
	t    *testing.T
	base string
}

func startWatched(t *testing.T, src, state string) *watched {
	t.Helper()
	return startWatchedWith(t, src, "--state-dir", state)
}

func startWatchedWith(t *testing.T, src string, args ...string) *watched {
	t.Helper()
	s := rrtest.Rrserve(t, src, rrtest.WithArgs(append(args, "--metrics-listen", "127.0.0.1:0")...))
	m := httpAddress.FindStringSubmatch(s.Log())
	if m == nil {
		t.Fatalf("no HTTP address in the log:\n%s", s.Log())
	}
	return &watched{s, t, "http://" + m[1]}
}

func (w *watched) get(path string) (int, string) {
	w.t.Helper()
	resp, err := http.Get(w.base + path)
	check(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(w.t, err)
	return resp.StatusCode, string(text)
}

// until waits for a report that satisfies ok.
func (w *watched) until(what string, ok func(r *status.Report) bool) {
	w.t.Helper()
	for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(10 * time.Millisecond) {
		var r status.Report
		_, text := w.get("/status.json")
		check(w.t, json.Unmarshal([]byte(text), &r))
		if ok(&r) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not %s:\n%s", what, text)
		}
	}
}

// after waits until so many commands have ended with a result, and tells whether
// the server knows of a complete pull.
func (w *watched) after(result string, n uint64) (complete bool) {
	w.t.Helper()
	w.until(result, func(r *status.Report) bool {
		complete = len(r.Clients) > 0 && r.Clients[0].Known()
		return r.Results[result] == n && len(r.Running) == 0
	})
	return complete
}

// TestFreshness lets real clients pull in every way that is no complete pull, and
// then in one that is, which a new server still knows of.
func TestFreshness(t *testing.T) {
	src, state := rrtest.TempDir(t)+"/src", rrtest.TempDir(t)
	tr := rrtest.NewTree(t, src)
	tr.File("small", "x")
	tr.Sparse("large", 64<<20, 1<<20, "an island")
	tr.Done()
	w := startWatched(t, src, state)
	if code, _ := w.get("/readyz"); code != 200 {
		t.Errorf("readyz: %d", code)
	}

	rrtest.Run(t, w.Server, rrtest.TempDir(t), "-an", "rr:")
	if w.after(status.DryRun, 1) {
		t.Error("a dry run counts")
	}
	rrtest.Run(t, w.Server, rrtest.TempDir(t), "-a", "rr:missing", "rr:small")
	if w.after(status.Partial, 1) {
		t.Error("a pull with an error counts")
	}
	rrtest.Run(t, w.Server, rrtest.TempDir(t), "-a", "--remove-source-files", "rr:")
	if w.after(status.Refused, 1) {
		t.Error("a refused command counts")
	}
	client := rrtest.Client{Server: w.Server}
	args := client.RsyncCommand("-a", "--bwlimit=1M", "rr:", rrtest.TempDir(t))
	killed := exec.Command(args[0], args[1:]...)
	killed.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // rsync is two processes, and ssh
	check(t, killed.Start())
	w.until("running", func(r *status.Report) bool { return len(r.Running) == 1 && r.Running[0].Bytes > 100_000 })
	check(t, syscall.Kill(-killed.Process.Pid, syscall.SIGKILL))
	killed.Wait()
	if w.after(status.Incomplete, 1) {
		t.Error("a client that was killed counts")
	}
	if res := rrtest.Run(t, w.Server, rrtest.TempDir(t), "-a", "rr:"); res.Code != 0 {
		t.Fatal(res)
	}
	if !w.after(status.Complete, 1) {
		t.Error("a complete pull does not count")
	}
	_, metrics := w.get("/metrics")
	if !regexp.MustCompile(`rrserve_last_success_timestamp_seconds\{key="[^"]+"\} 1\.[0-9]+e\+09`).MatchString(metrics) || !strings.Contains(metrics, `rrserve_sandbox_wall{wall="landlock"} 1`) {
		t.Errorf("metrics:\n%s", metrics)
	}
	w.Stop()

	again := startWatched(t, src, state)
	var r status.Report
	_, text := again.get("/status.json")
	check(t, json.Unmarshal([]byte(text), &r))
	if len(r.Clients) == 0 || !r.Clients[0].Known() {
		t.Errorf("a new server does not know of the pull: %s", text)
	}
	if info, err := os.Stat(state + "/pulls"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state file: %v, %v", info, err)
	}
}
