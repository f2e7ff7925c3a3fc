package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// editTree changes a copy of the rich tree in every way a destination can be
// out of date: edits, insertions, truncations, other metadata, other types,
// files that are missing or too many.
func editTree(t *testing.T, dir string) {
	t.Helper()
	e := editor{t, dir}
	noise, text, more := e.read("data/noise.bin"), e.read("data/text.txt"), e.read("data/more.txt")
	e.write("a.txt", "the FIRST file\n", day(1))
	e.write("b.txt", "newer than the source\n", day(20_000))
	e.remove("c.log")
	e.write("d", e.read("d"), day(2))
	e.write("data/noise.bin", noise[:300_000]+"inserted in the middle"+noise[300_000:600_000], day(3))
	e.write("data/text.txt", text[:250_000], day(4))
	e.write("data/more.txt", more[:1000]+"EDIT"+more[1004:50_000]+"EDIT"+more[50_004:], e.mtime("data/more.txt"))
	e.write("data/sparse", "no longer sparse", day(5))
	e.write("data/empty", "not empty", day(5))
	e.write("sub/y.dat", e.read("sub/y.dat")[:1000], day(6))
	e.check(os.Chmod(dir+"/sub/x.txt", 0o600))
	e.write("extra.txt", "too many\n", day(7))
	e.write("extra.log", "too many\n", day(7))
	e.write("sub/extra/inner/file", "too many\n", day(7))
	e.write("sub/protected", "too many\n", day(7))
	e.write("filters/extra.o", "too many\n", day(7))
	e.write("filters/inner/extra.tmp", "too many\n", day(7))
	e.write("hollow/a/extra", "too many\n", day(7))
	e.remove("tofile")
	e.write("tofile/in the way", "a directory in place of a link\n", day(8))
	e.remove("sub/nested/other")
	e.link("nowhere", "sub/nested/other", day(10))
	e.remove("special/fifo")
	e.write("special/fifo", "a file in place of a FIFO\n", day(9))
	e.remove("links/relative")
	e.link("up", "links/relative", day(10))
	e.remove("hard/h2")
	e.write("hard/h2", "separate\n", day(10))
	e.check(os.Chmod(dir+"/modes/dir0700", 0o777))
	e.write("times/epoch", e.read("times/epoch"), day(11))
	if os.Getuid() == 0 {
		e.check(os.Lchown(dir+"/owners/nobody", 0, 0))
		e.check(os.Lchown(dir+"/sub/x.txt", 1, -1))
	}
	e.settle()
}

// settle gives the directories, whose times the editing moved, some that do not
// depend on when the test runs.
func (e editor) settle() {
	e.t.Helper()
	e.check(filepath.WalkDir(e.dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chtimes(name, day(12), day(12))
	}))
}

// day is a time n days after 2020-01-01, before the source's own times.
func day(n int) time.Time { return time.Date(2020, 1, 1+n, 0, 0, 0, 0, time.UTC) }

type editor struct {
	t   *testing.T
	dir string
}

func (e editor) check(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e editor) read(name string) string {
	e.t.Helper()
	b, err := os.ReadFile(e.dir + "/" + name)
	e.check(err)
	return string(b)
}

func (e editor) mtime(name string) time.Time {
	e.t.Helper()
	st, err := os.Lstat(e.dir + "/" + name)
	e.check(err)
	return st.ModTime()
}

func (e editor) write(name, content string, mtime time.Time) {
	e.t.Helper()
	full := e.dir + "/" + name
	e.check(os.MkdirAll(filepath.Dir(full), 0o755))
	e.check(os.WriteFile(full, []byte(content), 0o644))
	e.check(os.Chtimes(full, mtime, mtime))
}

// link makes a symbolic link with a time of its own.
func (e editor) link(target, name string, at time.Time) {
	e.t.Helper()
	name = filepath.Join(e.dir, name)
	e.check(os.Symlink(target, name))
	e.check(unix.Lutimes(name, []unix.Timeval{unix.NsecToTimeval(at.UnixNano()), unix.NsecToTimeval(at.UnixNano())}))
}

func (e editor) remove(name string) {
	e.t.Helper()
	e.check(os.RemoveAll(e.dir + "/" + name))
}

// makeAux writes the lists and pattern files that command lines name.
func makeAux(t *testing.T, dir string) {
	t.Helper()
	tr := rrtest.NewTree(t, dir)
	names := []string{"a.txt", "sub/x.txt", "a b/in space", "data", "sub/nested/", "links/relative", ".dotfile", "names/glob*", "d/../d"}
	tr.File("list", strings.Join(names[:8], "\n")+"\n")
	tr.File("list.comments", "# comment\n; comment\n\na.txt\r\nsub//x.txt\n./d\n")
	tr.File("list.missing", "a.txt\nno-such-file\nsub/no-such-file\nno-such-dir/file\nb.txt\n")
	tr.File("list.dot", "sub/./nested/other\n./a.txt\ndata/./one\n")
	tr.File("list.slash", "/a.txt\n/sub/x.txt\n")
	tr.File("list0", "a.txt\x00names/new\nline\x00names/latin-\xe9\x00a b/second\x00")
	tr.File("list0.missing", "a.txt\x00no\nsuch\x00")
	tr.File("list.unreadable", "a.txt\nmodes/0644\nmodes/dir0700/file\nmodes/dir0700\nb.txt\n")
	tr.File("list.utf8", "latin-é\nno-ö\ndeep\n")
	tr.File("list.empty", "")
	tr.File("list.root", ".\n")
	tr.File("patterns", "# comment\n; comment\n\n*.o\n/c.log\n+ keep.o\n- /data/**\nnames/*\n")
	tr.File("patterns0", "*.o\x00/c.log\x00names/new\nline\x00")
	tr.File("includes", "*/\n*.txt\n")
	tr.File("rules", "+ /sub/***\n- /data/n*\nP extra.*\n- *.o\n")
	tr.File("words", "*.o *.log c.*")
	tr.Done()
}
