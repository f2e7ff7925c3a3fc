package fuzz

import (
	"bytes"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/probe"
)

// FuzzDaemon feeds the daemon protocol with what a client may send, from its
// greeting on.
func FuzzDaemon(f *testing.F) {
	for _, r := range recordings(f, "12-*") {
		f.Add(bytes.ReplaceAll(r.client, []byte("nobody"), []byte("backup")))
	}
	for _, opening := range []string{
		"@RSYNCD: 32.0 md5\n#list\n", "@RSYNCD: 29\r\n\r\n", "@RSYNCD: 31.14\n#early_input=4\nabcdbackup\n-s\x00\x00rsync\x00.\x00\x00",
		"@RSYNCD: 30.0\nbackup\n--server\x00-r\x00.\x00backup/\x00\x00", "@RSYNCD: 27\nbackup\n--sender\n-sr\n(null)\n.\n\nrsync\x00.\x00a backup/b\x00\x00",
		"@RSYNCD: 99999.9\n", "@RSYNCD: 26.0\n", "@RSYNCD: 31\n", "@RSYNCD: 32.0\n", "@RSYNCD: 31.5\nother\n", "@RSYNCD: 31.0\n#other\n",
		"@RSYNCD: 31.0\n#early_input=0\n", "@RSYNCD: 31.0\nbackup\n--server\x00--sender\x00-rN\x00.\x00backup/\x00\x00\x00\x00\x00\x00", "@RSYNCD: 31.0\nbackup\n--server\x00--sender\x00-vvrse.iLsfxCIvu\x00--iconv=utf8\x00.\x00\x00rsync\x00--iconv=x\x00.\x00backup/srv\x00\x00\x00\x00\x00\x00", "hello\n", "@RSYNCD: 31.0\nbackup\n--server\x00--sender\x00-r\x00.\x00backup/../x\x00backup/*\x00\x00\x00\x00\x00\x00",
	} {
		f.Add([]byte(opening))
	}
	tree := memoryTree()
	f.Fuzz(func(t *testing.T, client []byte) {
		c := conversation{tree, "rsync --server --daemon .", client}
		if c.costly() {
			return
		}
		e := c.play(t)
		e.sameAs(t, c.play(t))
		greeting, rest, _ := bytes.Cut(e.out, []byte("\n"))
		if string(greeting) != "@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4" {
			t.Errorf("begins with %q", greeting)
		}
		if refused := bytes.HasPrefix(rest, []byte("@ERROR: ")); refused != (e.ExitStatus == 5) && e.Module == "" {
			t.Errorf("status %d after %.100q", e.ExitStatus, rest)
		}
	})
}

// FuzzProbe holds the answers to commands to be complete, and none to be given
// to what could be a pull.
func FuzzProbe(f *testing.F) {
	for _, c := range []string{
		"true", ":", "exit 3", "echo -n a 'b c'", "test -d ~/srv", "[ -e srv/tree/d/../x ]", "[ -L srv/*/d/ln ]", "test -f {a,b}", "df -P srv/", "pwd",
		"uname -a", "which rsync", "command -v rsync", "/usr/bin/rsync --version", "rsync --server --sender -r . x", "rsync --server --daemon .",
		"test -e srv/tree/d/loop/loop/up/x", "test -d srv/tree/d/outdir/", "test -e srv/tree/d/round/../x", "test -e '\xff\n'", "sh -c true", "[ -f srv/names", "test -x a", "test -d ''", "test -f srv/names", "test -e srv/names/", "df -k .", "df -P srv/tree/e/mounted", "df -P ../x",
	} {
		f.Add(c)
	}
	tree := memoryTree()
	f.Fuzz(func(t *testing.T, command string) {
		defer limits{64 << 20, 0}.hold(t, 0)() // as for wildcards in an argument
		space := func() (probe.Space, error) {
			return probe.Space{Total: 1 << 60, Free: 1 << 59, Available: 1 << 58}, nil
		}
		a, ok := probe.System{Tree: inside{tree, t}, Space: space}.Run(command)
		if !ok {
			return
		}
		first, _, _ := strings.Cut(strings.TrimLeft(command, " \t"), " ")
		if strings.Contains(command, "--server") && strings.HasSuffix(first, "rsync") {
			t.Errorf("%q: answered", command)
		}
		if a.Status < 0 || a.Status > 255 || len(a.Stdout) > len(command)+200 || len(a.Stderr) > 1000 {
			t.Errorf("%q: %+v", command, a)
		}
		if a.Stderr != "" && (a.Status == 0 || a.Stdout != "" || !strings.HasSuffix(a.Stderr, "\n")) {
			t.Errorf("%q: %+v", command, a)
		}
	})
}
