package rsyncproto

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// Times of creation stand behind those of the modification, unless both are the
// same second. One that is not known is 0.
func TestCreationTimes(t *testing.T) {
	tree := vfstest.NewMemory()
	add := func(name string, mode uint32, mtime vfs.Time, btime int64) *vfstest.Node {
		return tree.Add(name, vfstest.Node{Info: vfs.Info{Mode: mode, Mtime: mtime, Btime: btime}, Data: []byte("data")})
	}
	const file = vfs.ModeRegular | 0o644
	add("a", file, vfs.Time{Sec: 1_000_000_000}, 1_000_000_001)
	add("b", file, vfs.Time{Sec: 1_000_000_000, Nsec: 5}, 1_000_000_000)
	add("c", file, vfs.Time{Sec: 1_000_000_000, Nsec: 5}, 0)
	add("d", vfs.ModeDir|0o755, vfs.Time{Sec: 1_000_000_002}, -1)
	for _, name := range []string{"h1", "h2"} {
		n := add(name, file, vfs.Time{Sec: 1_000_000_000}, 1_000_000_001)
		n.Info.Nlink, n.Info.Ino = 2, 9
	}
	data, messages, res := attrRun(t, tree, "rsync --server --sender -HNrte.LsfxCIvu . a b c d h1 h2", nil)
	want := unhex(t, `
		18 01 61
		00 04 00   3b 00 ca 9a   3b 01 ca 9a   a4 81 00 00
		c2 9a 20 01 62
		00 04 00   05
		a0 9a 01 63
		00 04 00   05   00 00 00 00
		19 01 64
		00 04 00   3b 02 ca 9a   f8 ff ff ff ff ff ff ff ff   ed 41 00 00
		92 18 02 68 31
		00 04 00   3b 00 ca 9a   3b 01 ca 9a   a4 81 00 00
		82 ba 01 01 32 04
		00`)
	if res.ExitStatus != 0 || res.Listed != 6 || len(messages) > 0 || !bytes.Contains(data, want) {
		t.Errorf("%+v, %q, sent\n% x, want in it\n% x", res, messages, data, want)
	}
}

// Clients whose flags do not have the bit end as with the reference.
func TestCreationTimesOldClient(t *testing.T) {
	const text = "Both rsync versions must be at least 3.2.0 for --crtimes.\n"
	for _, c := range []struct{ caps, version string }{
		{"e.LsfxCIu", "1f 00 00 00"}, {"e.iLsf", "1e 00 00 00"}, {"", "1d 00 00 00"}, {"", "1b 00 00 00"},
	} {
		_, stderr, res := replay(transcript{exec: "rsync --server --sender -rN" + c.caps + " . ax/", client: unhex(t, c.version), seed: 1})
		if res.ExitStatus != 2 || stderr != text {
			t.Errorf("%q: %+v, %q", c, res, stderr)
		}
	}
}

// A system without times of creation says so.
func TestNoBtimes(t *testing.T) {
	for option, refused := range map[string]bool{"-rN": true, "-r --crtimes": true, "-rN --no-N": false, "-r": false} {
		var out, stderr bytes.Buffer
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender " + option + " . ax/", FS: attrTree(), NoBtimes: true,
			Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &stderr, Abort: func() {},
		})
		const want = "rsync: on remote machine: -N: refused: creation times are not read on the server's system [E-OPTION]\n"
		if got := res.ExitStatus == 1 && out.Len() == 0 && strings.HasPrefix(stderr.String(), want); got != refused {
			t.Errorf("%s: %+v, %q", option, res, stderr.String())
		}
	}
}
