package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rrserve/internal/rrtest"
	"rrserve/internal/status"
)

// reloading is a server with a configuration that a test changes.
type reloading struct {
	*watched
	etc string
}

// configure puts a new configuration in the place of the old one.
func (r *reloading) configure(lines string) {
	r.t.Helper()
	check(r.t, os.WriteFile(r.etc+"/next", []byte(fmt.Sprintf("keys_dir = %q\n", r.etc+"/keys.d")+lines), 0o644))
	check(r.t, os.Chmod(r.etc+"/next", 0o644))
	check(r.t, os.Rename(r.etc+"/next", r.etc+"/rrserve.toml"))
}

// reload sends the signal and waits for what the log is to say.
func (r *reloading) reload(want string) {
	r.t.Helper()
	check(r.t, r.Process.Signal(syscall.SIGHUP))
	logged(r.t, r.Server, regexp.MustCompile(regexp.QuoteMeta(want)))
}

// logged waits until the log has a match, and returns it.
func logged(t *testing.T, s *rrtest.Server, re *regexp.Regexp) []string {
	t.Helper()
	for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(time.Millisecond) {
		if m := re.FindStringSubmatch(s.Log()); m != nil {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log never says %s", re)
		}
	}
}

// authorize makes a key, and lets it in as the client of its name.
func (r *reloading) authorize(name string) {
	r.t.Helper()
	check(r.t, rrtest.NewKey(r.etc+"/"+name))
	check(r.t, os.Chmod(r.etc+"/"+name+".pub", 0o644))
	check(r.t, os.Rename(r.etc+"/"+name+".pub", r.etc+"/keys.d/"+name+".pub"))
}

// TestReloadUnderLoad changes keys and configuration while 20 clients pull, half
// of them with a key that is taken away meanwhile.
func TestReloadUnderLoad(t *testing.T) {
	const clients = 20
	dir := rrtest.TempDir(t)
	src := rrtest.NewTree(t, dir+"/src")
	src.File("sub/small", "small")
	src.File("sub/noise", rrtest.Noise(1, 300_000))
	src.Sparse("zeros", 8<<20, 4<<20, "an island") // more than can be on the way
	src.Done()
	other := rrtest.NewTree(t, dir+"/src/sub/other")
	other.File("file", "another root")
	other.Done()
	check(t, rrtest.AgeTree(dir+"/src")) // sub has changed since
	r := &reloading{etc: dir + "/etc", watched: &watched{t: t}}
	check(t, os.MkdirAll(r.etc+"/keys.d", 0o755))
	check(t, os.Chmod(r.etc, 0o755)) // whatever the umask is
	check(t, os.Chmod(r.etc+"/keys.d", 0o755))
	r.configure("")
	r.authorize("gone")
	r.authorize("stays")
	t.Setenv("CONFIGURATION_DIRECTORY", r.etc)
	r.watched = startWatchedWith(t, dir+"/src", "--state-dir", rrtest.TempDir(t), "--config", r.etc+"/rrserve.toml", "--read-all=false", "--sandbox=required")

	held := relay{goOn: make(chan struct{}), hold: 300_000}
	addr := held.listen(t, r.Addr)
	type run struct {
		res rrtest.Result
		err error
		dst string
	}
	runs := make(chan run, clients)
	for i := range clients {
		client := rrtest.Client{Server: r.Via(t, addr, r.etc+"/"+[]string{"gone", "stays"}[i%2])}
		dst := rrtest.ScratchDir(t) + "/dst"
		go func() {
			res, err := client.Exec(client.RsyncCommand("-a", "rr:", dst)...)
			runs <- run{res, err, dst}
		}()
	}
	r.until("20 pulls in the middle", func(rep *status.Report) bool {
		n := 0
		for _, s := range rep.Running {
			if s.Bytes > 200_000 {
				n++
			}
		}
		return n == clients
	})

	// A good file, with a root for the new key, and the first key goes.
	check(t, os.Remove(r.etc+"/keys.d/gone.pub"))
	r.authorize("new")
	r.configure(fmt.Sprintf("[roots.other]\npath = %q\n[clients.new]\nroot = \"other\"\n", dir+"/src/sub/other"))
	r.reload(`msg="the configuration was read again" file=` + r.etc + `/rrserve.toml changed="roots.other clients.new"`)
	refused := func() {
		t.Helper()
		if res := rrtest.Run(t, r.WithKey(t, r.etc+"/gone"), rrtest.TempDir(t), "-a", "rr:"); !strings.Contains(res.Stderr, "Permission denied (publickey)") {
			t.Errorf("the key that was taken away: %v", res)
		}
	}
	added := func() {
		t.Helper()
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, r.WithKey(t, r.etc+"/new"), dst, "-a", "rr:")
		if res.Code != 0 {
			t.Errorf("the key that was added: %v", res)
		}
		rrtest.Compare(t, dir+"/src/sub/other", dst, rrtest.Aspects{})
	}
	refused()
	added()

	// A bad one, by which that key would see everything.
	r.configure("[clients.new]\nrooot = \"\"\n")
	r.reload(`level=ERROR msg="the configuration was not read again, the old one holds" err="` + r.etc + `/rrserve.toml:3: unknown key clients.new.rooot"`)
	refused()
	added()
	if n := strings.Count(r.Log(), "the configuration was"); n != 2 {
		t.Errorf("%d reloads in the log", n)
	}
	if os.Geteuid() == 0 { // a file that the user which root became may not read
		r.configure("")
		check(t, os.Chmod(r.etc+"/rrserve.toml", 0o600))
		r.reload(`permission denied: since its start the server reads what lies in ` + r.etc + ` and may be read by the user that it runs as; chgrp and chmod 0640 the file, or restart the server"`)
		added()
	}

	r.until("20 pulls still running", func(rep *status.Report) bool { return len(rep.Running) == clients })
	close(held.goOn)
	for range clients {
		got := <-runs
		if got.err != nil || got.res.Code != 0 || got.res.Stderr != "" {
			t.Errorf("a pull that was running: %v, %v", got.err, got.res)
			continue
		}
		rrtest.Compare(t, dir+"/src", got.dst, rrtest.Aspects{})
	}
	r.until("all counted", func(rep *status.Report) bool { return rep.Results[status.Complete] >= clients+2 })
}
