package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

// daemonCommands pull through the daemon protocol. The module is called src, as
// the directory that is served. DAEMON stands for what makes the reference find
// its module, and for nothing at the server under test.
var daemonCommands = []command{
	{name: "modules", line: "DAEMON rr::"},
	{name: "modules by URL", line: "DAEMON rsync://rr/"},
	{name: "unknown module", line: "DAEMON -a rr::no-such/ DST/"},
	{name: "module by wildcard", line: "DAEMON -a rr::sr* DST/"},
	{name: "unknown module by URL", line: "DAEMON rsync://rr/no-such/"},
	{name: "module in capitals", line: "DAEMON rr::SRC/"},
	{name: "module", line: "DAEMON -ai rr::src DST/"},
	{name: "module with slash", line: "DAEMON -ai rr::src/ DST/"},
	{name: "module by URL", line: "DAEMON -ai rsync://rr/src DST/"},
	{name: "module listed", line: "DAEMON rr::src"},
	{name: "module listed recursively", line: "DAEMON -r rsync://rr/src/"},
	{name: "directory", line: "DAEMON -ai rr::src/sub DST/"},
	{name: "directory with slash", line: "DAEMON -ai rr::src/sub/ DST/"},
	{name: "directory with dot", line: "DAEMON -ai rr::src/sub/. DST/"},
	{name: "doubled slashes", line: "DAEMON -ai rr::src//sub///nested DST/"},
	{name: "file", line: "DAEMON -ai rr::src/a.txt DST/"},
	{name: "blank in a name", line: "DAEMON -ai 'rr::src/a b/in space' DST/"},
	{name: "blank in a name, secluded", line: "DAEMON -ais 'rr::src/a b/in space' DST/"},
	{name: "several sources", line: "DAEMON -ai rr::src/a.txt ::src/sub ::hollow DST/"},
	{name: "several sources in one argument", line: "DAEMON -ai --old-args 'rr::src/a.txt src/sub src/hollow/' DST/"},
	{name: "several sources in one argument, quoted by the client", line: "DAEMON -ai 'rr::src/a.txt src/sub' DST/"},
	{name: "wildcards", line: "DAEMON -ai rr::src/*.txt DST/"},
	{name: "wildcard in two places", line: "DAEMON -ai rr::src/s*/[xy]* DST/"},
	{name: "wildcard without match", line: "DAEMON -ai rr::src/*.no DST/"},
	{name: "escaped wildcard", line: `DAEMON -ai rr::src/names/glob\* DST/`},
	{name: "backslash", line: `DAEMON -ai 'rr::src/names/back\slash' DST/`},
	{name: "braces are letters", line: "DAEMON -ai rr::src/{a,b}.txt DST/"},
	{name: "tilde is a letter", line: "DAEMON -ai rr::src/~ DST/"},
	{name: "missing file", line: "DAEMON -ai rr::src/no-such DST/"},
	{name: "missing file below", line: "DAEMON -ai rr::src/sub/no-such rr::src/a.txt DST/"},
	{name: "missing directory", line: "DAEMON -ai rr::src/no/such DST/"},
	{name: "dangling link followed", line: "DAEMON -aiL rr::src/links/dangling rr::src/a.txt DST/"},
	{name: "ignore missing", line: "DAEMON -ai --ignore-missing-args rr::src/no-such rr::src/a.txt DST/"},
	{name: "relative", line: "DAEMON -aiR rr::src/sub/nested DST/"},
	{name: "relative from the top", line: "DAEMON -aiR rr::src/ DST/"},
	{name: "relative with dot", line: "DAEMON -aiR rr::src/sub/./nested/deep DST/"},
	{name: "files from", line: "DAEMON -ai --files-from=AUX/list rr::src DST/"},
	{name: "files from, below", line: "DAEMON -ai --files-from=AUX/list.missing rr::src/sub DST/"},
	{name: "files from, recursive", line: "DAEMON -air --files-from=AUX/list.dot rr::src/ DST/"},
	{name: "onto edited", dst: edited, line: "DAEMON -ai rr::src/ DST/"},
	{name: "delete", dst: edited, line: "DAEMON -ai --delete rr::src/ DST/", opt: anyOrder},
	{name: "filters", dst: edited, line: "DAEMON -aiF --delete --exclude=*.o rr::src/ DST/", opt: anyOrder},
	{name: "cvs exclude", line: "DAEMON -aiC rr::src/ DST/"},
	{name: "secluded", dst: edited, line: "DAEMON -ais --delete-after --numeric-ids rr::src/ DST/", opt: anyOrder},
	{name: "compressed", dst: edited, line: "DAEMON -aiz rr::src/ DST/"},
	{name: "compressed with zlib", dst: edited, line: "DAEMON -ai --zc=zlib --zl=9 rr::src/data DST/"},
	{name: "checksum", dst: edited, line: "DAEMON -aic rr::src/ DST/"},
	{name: "checksum md5", dst: edited, line: "DAEMON -aic --cc=md5 rr::src/data DST/"},
	{name: "hard links", line: "DAEMON -aiH --numeric-ids rr::src/ DST/"},
	{name: "times of access", line: "DAEMON -aiU rr::src/atimes DST/", opt: withAtimes},
	{name: "dry run", dst: edited, line: "DAEMON -ain --delete rr::src/ DST/", opt: anyOrder},
	{name: "stats", line: "DAEMON -a --stats --no-inc-recursive rr::src/ DST/"},
	{name: "verbose", dst: edited, line: "DAEMON -av rr::src/ DST/"},
	{name: "quiet", line: "DAEMON -aq rr::src/ rr::src/no-such DST/"},
	{name: "append", dst: edited, line: "DAEMON -ai --append-verify rr::src/data/ DST/data/"},
	{name: "inplace, no whole file", dst: edited, line: "DAEMON -ai --inplace --no-W rr::src/data/ DST/data/"},
	{name: "timeout and bwlimit", line: "DAEMON -ai --timeout=60 --bwlimit=100m rr::src/sub DST/"},
	{name: "early input", line: "DAEMON -ai --early-input=AUX/list rr::src/sub DST/"},
	{name: "no motd", line: "DAEMON -ai --no-motd rr::src/sub DST/"},
	{name: "rsync's old options", line: "DAEMON -ai --old-d --blocking-io rr::src/sub DST/"},
}

// daemonConfig is the reference's rsyncd.conf, which serves what rrserve does.
func daemonConfig(t *testing.T, f *fixture) {
	t.Helper()
	ids := ""
	if os.Getuid() == 0 {
		ids = "uid = 0\ngid = 0\n"
	}
	conf := ids + "use chroot = no\nmunge symlinks = no\nmax verbosity = 9\n[src]\npath = " + f.src + "\n"
	if err := os.WriteFile(f.aux+"/rsyncd.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDaemon(t *testing.T) {
	f := newFixture(t)
	daemonConfig(t, f)
	for _, c := range daemonCommands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, defaultClient)
		})
	}
}

// openings are the cases in which versions and arguments arrive in their
// various ways.
var openings = []string{
	"modules", "unknown module", "module", "blank in a name, secluded", "several sources", "several sources in one argument",
	"wildcards", "missing file below", "files from, below", "filters", "secluded",
}

// daemonOpenings are the daemonCommands of openings.
func daemonOpenings() []command {
	return slices.DeleteFunc(slices.Clone(daemonCommands), func(c command) bool { return !slices.Contains(openings, c.name) })
}

func TestDaemonProtocols(t *testing.T) {
	f := newFixture(t)
	daemonConfig(t, f)
	for _, v := range []int{27, 28, 29, 30, 31} {
		for _, c := range daemonOpenings() {
			c.line = fmt.Sprintf("--protocol=%d %s", v, c.line)
			if v < 29 {
				c.opt |= anyOrder // requests are printed by one process, files by the other
			}
			t.Run(fmt.Sprintf("%d/%s", v, c.name), func(t *testing.T) {
				t.Parallel()
				f.compare(t, c, defaultClient)
			})
		}
	}
}

// TestDaemonOldClient runs them with rsync 3.2.7.
func TestDaemonOldClient(t *testing.T) {
	client := oldClient(t)
	f := newFixture(t)
	daemonConfig(t, f)
	for _, c := range daemonOpenings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, client)
		})
	}
}

// What is refused ends with a reason, and where the protocol has a way to say
// so with our exit status.
func TestDaemonRefusals(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/srv")
	tr.File("a", "a")
	tr.Done()
	s := rrtest.Rrserve(t, dir+"/srv")
	for _, c := range []struct {
		line string
		code int
		text string
	}{
		{"-a DIR/srv/ rr::srv/", 1, "ERROR: module is read only [E-RO]"},
		{"-a --protocol=30 DIR/srv/ rr::srv/", 12, "ERROR: module is read only [E-RO]"},
		{"-a --protocol=29 DIR/srv/ rr::srv/", 12, "ERROR: module is read only [E-RO]"},
		{"-as DIR/srv/ rr::srv/", 1, "ERROR: module is read only [E-RO]"},
		{"-a --remove-source-files rr::srv/a DIR/", 1, "--remove-source-files: refused: this server is read-only [E-OPTION]"},
		{"-a --protocol=28 --remove-source-files rr::srv/a DIR/", 12, "refused: this server is read-only [E-OPTION]"},
		{"-a -M--daemon rr::srv/a DIR/", 1, "--daemon: refused"},
		{"-a -M--config=x rr::srv/a DIR/", 1, "--config: refused"},
		{"-a -M--bogus rr::srv/a DIR/", 1, "--bogus: unknown option [E-OPTION]"},
		{"-a rr::srv/../a DIR/", 1, `".." is not allowed in a path`},
		{"-a --rsync-path='rsync --config=x' rr::srv/a DIR/", 5, "rrserve: rsync runs here only at the other end of a pull"},
		{"-a rr::nobody/a DIR/", 5, "@ERROR: Unknown module 'nobody'"},
	} {
		res := rrtest.Run(t, s, "", splitWords(strings.ReplaceAll(c.line, "DIR", dir))...)
		if res.Code != c.code || !strings.Contains(res.Stderr, c.text) {
			t.Errorf("%s: want exit %d and %q:\n%v", c.line, c.code, c.text, res)
		}
	}
	s.Stop() // what became of a session is logged after its client has gone
	for _, want := range []string{"code=E-DAEMON", "code=E-RO", "code=E-OPTION", "code=E-PATH"} {
		if !strings.Contains(s.Log(), want) {
			t.Errorf("no %s in the log", want)
		}
	}
}

// A client does not tell a daemon what the daemon's character set is; names
// here are UTF-8.
func TestDaemonIconv(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/srv")
	tr.File("caf\u00e9", "a")
	tr.Done()
	s := rrtest.Rrserve(t, dir+"/srv")
	for _, args := range [][]string{
		{"-a", "--iconv=iso-8859-1", "rr::srv/"},
		{"-a", "--iconv=iso-8859-1,utf-8", "rr::srv/"},
		{"-as", "--iconv=iso-8859-1", "rr::srv/caf\xe9"},
	} {
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s, dst+"/", args...)
		if _, err := os.Stat(dst + "/caf\xe9"); err != nil || res.Code != 0 {
			t.Errorf("%v\n%v", err, res)
		}
	}
}
