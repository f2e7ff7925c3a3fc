package fuzz

import (
	"bytes"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// FuzzFilesFrom lists what names of --files-from stand for, on the stream and
// in a file of the tree.
func FuzzFilesFrom(f *testing.F) {
	for _, list := range []string{
		"tree/d/a.txt\x00tree/x\x00", "../../etc/passwd\x00/srv\x00", "tree/./d/../../../x/\x00./tree\x00tree/d/.\x00", "a\x00\x00b", "//\x00/./\x00./.\x00..\x00",
		"tree/d/out\x00tree/d/outdir/x\x00tree/d/round/tree/x\x00", "tree\r\n#x\n;y\n\ntree/x", "tree/d/x y'\"\\*[?{a,b}~\x00*\x00~\x00", "\xff\xfe\x00\xc3\xa9\x00",
		strings.Repeat("n/", 2047) + "n\x00", strings.Repeat("n", 4095) + "\x00", strings.Repeat("n", 4096) + "\x00", "",
	} {
		for v := wire.MinVersion; v <= wire.MaxVersion; v++ {
			f.Add(byte(v), pick("-r", "-R"), []byte(list))
		}
		f.Add(byte(31), pick("-d", "--no-relative", "-0", "--iconv=iso-8859-1"), []byte(list))
		f.Add(byte(30), pick("-d", "-R", "-L", "-s", "--iconv=gb18030"), []byte(list))
	}
	tree := memoryTree()
	tree.Remove("srv/names")
	file := tree.Add("srv/names", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}})
	f.Fuzz(func(t *testing.T, version byte, picks []byte, list []byte) {
		for name := range bytes.SplitSeq(list, []byte{0}) {
			checkCleaned(t, string(name))
		}
		file.Data, file.Info.Size = list, int64(len(list))
		names := strings.ReplaceAll(string(list), "\x00", "\n")
		picks = picks[:min(len(picks), maxPicks-1)]
		for _, from := range []string{"--files-from=-", "--files-from=srv/names"} { // the last one holds
			d := dialogue{v: clampVersion(version), caps: 0xff, picks: append(picks[:len(picks):len(picks)], pick(from)...), args: "srv", names: names}
			c := d.conversation()
			c.tree = tree
			c.play(t).sameAs(t, c.play(t))
		}
	})
}

// checkCleaned holds a cleaned name to stay below its base, and to be clean.
func checkCleaned(t *testing.T, name string) {
	t.Helper()
	for _, relative := range []bool{false, true} {
		got := flist.CleanListed(name, relative)
		if _, err := vfs.ParsePath(got); err != nil && len(name) < vfs.MaxPath {
			t.Errorf("%q becomes %q: %v", name, got, err)
		}
		if got == "" || got[0] == '/' || len(got) > len(name)+4 {
			t.Errorf("%q becomes %q", name, got)
		}
		if again := flist.CleanListed(got, relative); again != got {
			t.Errorf("%q becomes %q, and that %q", name, got, again)
		}
	}
}
