package fuzz

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/rsyncproto/probe"
)

// FuzzDaemon feeds the daemon protocol with what a client may send, from its
// greeting on. Every session ends, with bounded output.
func FuzzDaemon(f *testing.F) {
	seeds, _ := filepath.Glob("../internal/rsyncproto/testdata/transcript/12-*.txt")
	if len(seeds) == 0 {
		f.Fatal("no transcripts to begin with")
	}
	for _, name := range seeds {
		_, client := recorded(f, name)
		f.Add(bytes.ReplaceAll(client, []byte("nobody"), []byte("backup")))
	}
	for _, opening := range []string{
		"@RSYNCD: 32.0 md5\n#list\n", "@RSYNCD: 29\r\n\r\n", "@RSYNCD: 31.14\n#early_input=4\nabcdbackup\n-s\x00\x00rsync\x00.\x00\x00",
		"@RSYNCD: 30.0\nbackup\n--server\x00-r\x00.\x00backup/\x00\x00", "@RSYNCD: 27\nbackup\n--sender\n-sr\n(null)\n.\n\nrsync\x00.\x00a backup/b\x00\x00",
		"@RSYNCD: 99999.9\n", "hello\n",
	} {
		f.Add([]byte(opening))
	}
	f.Fuzz(func(t *testing.T, client []byte) {
		out := &head{bounded: bounded{t: t}}
		var stderr bytes.Buffer
		res := rsyncproto.Serve(context.Background(), rsyncproto.Config{
			Command: "rsync --server --daemon .", FS: sessionTree(), Seed: 1, Module: "backup",
			Stdin: bytes.NewReader(client), Stdout: out, Stderr: &stderr, Abort: func() {},
		})
		if !bytes.HasPrefix(out.start, []byte("@RSYNCD: 32.0 ")) {
			t.Errorf("begins with %q", out.start)
		}
		if refused := bytes.Contains(out.start, []byte("\n@ERROR: ")); refused != (res.ExitStatus == 5) && res.Module == "" {
			t.Errorf("status %d after %q", res.ExitStatus, out.start)
		}
		if res.Refused != "" && stderr.Len() == 0 && out.n == len("@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n") {
			t.Error("refused without a word")
		}
	})
}

// head keeps the beginning of what is written to it.
type head struct {
	bounded
	start []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.start = append(h.start, p[:min(len(p), 2048-len(h.start))]...)
	return h.bounded.Write(p)
}

// FuzzProbe holds the answers to commands to be complete, and none to be given
// to what could be a pull.
func FuzzProbe(f *testing.F) {
	for _, c := range []string{
		"true", ":", "exit 3", "echo -n a 'b c'", "test -d ~/srv", "[ -e srv/tree/d/../x ]", "[ -L srv/*/d/ln ]", "test -f {a,b}", "df -P srv/", "pwd",
		"uname -a", "which rsync", "command -v rsync", "/usr/bin/rsync --version", "rsync --server --sender -r . x", "rsync --server --daemon .",
		"test -e srv/tree/d/loop/loop/up/x", "test -e '\xff\n'", "sh -c true",
	} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, command string) {
		space := func() (probe.Space, error) {
			return probe.Space{Total: 1 << 60, Free: 1 << 59, Available: 1 << 58}, nil
		}
		a, ok := probe.System{Tree: sessionTree(), Space: space}.Run(command)
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
