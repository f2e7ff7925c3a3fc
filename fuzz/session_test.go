package fuzz

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// sessionTree is a small tree with everything an entry can be.
func sessionTree() *vfstest.Memory {
	t := vfstest.NewMemory()
	attrs := map[string][]byte{
		"user.long": bytes.Repeat([]byte("value"), 100), "user.short": []byte("v"),
		"system.posix_acl_access": []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xe8\x03\x00\x00" +
			"\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"),
	}
	dir := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755, Size: 4096}, Xattrs: attrs}
	file := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: bytes.Repeat([]byte("0123456789abcdef"), 300), Xattrs: attrs}
	for _, d := range []string{"srv", "srv/tree", "srv/tree/d", "srv/tree/d/sub", "srv/tree/x"} {
		t.Add(d, dir)
	}
	for _, f := range []string{"srv/tree/d/a.txt", "srv/tree/d/sub/b.txt", "srv/tree/x/big"} {
		t.Add(f, file)
	}
	t.Add("srv/tree/d/.rsync-filter", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: []byte("- *.o\n: .more\n")})
	t.Add("srv/tree/d/ln", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "a.txt"})
	t.Add("srv/tree/d/up", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "../../../.."})
	t.Add("srv/tree/d/loop", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "."})
	t.Add("srv/tree/d/null", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeChar | 0o666, RdevMajor: 1, RdevMinor: 3}})
	t.Add("srv/tree/d/pipe", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeFIFO | 0o644}})
	return t
}

// bounded counts what a session writes and fails beyond a bound that no answer
// to a short input needs.
type bounded struct {
	t *testing.T
	n int
}

const maxOutput = 64 << 20

func (b *bounded) Write(p []byte) (int, error) {
	if b.n += len(p); b.n > maxOutput {
		b.t.Fatalf("more than %d bytes of output", maxOutput)
	}
	return len(p), nil
}

// FuzzSession feeds a whole session with what a client may send. It must end,
// with an exit status of rsync's and bounded output.
func FuzzSession(f *testing.F) {
	seeds, _ := filepath.Glob("../internal/rsyncproto/testdata/transcript/*.txt")
	if len(seeds) == 0 {
		f.Fatal("no transcripts to begin with")
	}
	for _, name := range seeds {
		command, client := recorded(f, name)
		f.Add(command, client)
		f.Add(strings.ReplaceAll(strings.ReplaceAll(command, " ax/", " srv/tree/d/"), " x2/", " srv/tree/d/"), client)
	}
	f.Add("rsync --server --sender -logDtprLk --protocol=27 . srv/tree/d/", []byte("\x1b\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, command string, client []byte) {
		var stderr bytes.Buffer
		out := &bounded{t: t}
		res := rsyncproto.Serve(context.Background(), rsyncproto.Config{
			Command: command, FS: sessionTree(), Seed: 1, Module: "backup", Probes: true,
			Stdin: bytes.NewReader(client), Stdout: out, Stderr: &stderr, Abort: func() {},
		})
		if res.Refused != "" && stderr.Len() == 0 && out.n == 0 {
			t.Error("refused without a word")
		}
	})
}

// recorded returns the command line and the client's bytes of a recording.
func recorded(f *testing.F, name string) (command string, client []byte) {
	text, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nexec: ")
	command, rest, _ = strings.Cut(rest, "\n")
	_, rest, _ = strings.Cut(rest, "client:\n")
	hexText, _, _ := strings.Cut(rest, "server:")
	client, err = hex.DecodeString(strings.Join(strings.Fields(hexText), ""))
	if err != nil {
		f.Fatal(err)
	}
	return command, client
}
