package rrtest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// OddNames are file names that break programs which quote, split, decode or
// measure names without care. Each is a single path component.
var OddNames = []string{
	"with space", " leading space", "trailing space ", "new\nline", "tab\tname", "\x01control\x7f",
	"glob*", "glob?", "[abc]", "{a,b}", `back\slash`, `quote"double`, "quote'single", "`backtick`",
	"$(id)", "$HOME", ";semicolon", "&and", "|pipe", "<less>", "#hash", "!bang", "~", "~root", "%percent",
	"-rf", "--delete", "-e", ".hidden", "..dots", "...", "a:b", "host::module",
	"latin-\xe9", "\xff\xfe", "\u00fcnicode", "\u65e5\u672c", "e\u0301combining", "\u202ertl",
	strings.Repeat("n", 255), strings.Repeat("\u00e9", 127),
}

// RichTree builds a tree of about 200 objects with everything a file system
// can hold: odd names, links, special files, sparse files, odd modes and
// times, several owners, hard links, filter files, extended attributes. What
// only root can make (device nodes, owners) or read is left out for other users.
// Symbolic links that leave the tree are below escape/ and nowhere else; those
// below munged/ lead nowhere.
func RichTree(t testing.TB, dir string) {
	t.Helper()
	tr := NewTree(t, dir)
	richPlain(tr)
	richNames(tr)
	richLinks(tr)
	richModes(tr)
	richTimes(tr)
	richFilters(tr)
	richAttributes(tr)
	if os.Getuid() == 0 {
		richRootOnly(tr)
	}
	tr.Done()
}

func richPlain(tr *Tree) {
	tr.File("a.txt", "the first file\n")
	tr.File("b.txt", "the second file\n")
	tr.File("c.log", "a log\n")
	tr.File("d", "no extension\n")
	tr.File(".dotfile", "hidden\n")
	tr.File("a b/in space", "spaced\n")
	tr.File("a b/second", "spaced, too\n")
	tr.File("sub/x.txt", "x\n")
	tr.File("sub/y.dat", Noise(1, 3000))
	tr.File("sub/.hidden", "hidden\n")
	tr.File("sub/nested/deep/deeper/file", "deep\n")
	tr.File("sub/nested/other", "other\n")
	tr.File("sub/old.o", "object\n")
	tr.File("data/noise.bin", Noise(2, 700_001))
	tr.File("data/text.txt", Text(3, 400_000))
	tr.File("data/more.txt", Text(4, 100_000))
	tr.File("data/zeros", strings.Repeat("\x00", 200_000))
	tr.File("data/photo.jpg", Noise(5, 50_000))
	tr.File("data/archive.gz", Noise(6, 20_000))
	tr.File("data/one", "1")
	tr.File("data/empty", "")
	tr.Sparse("data/sparse", 1<<20, 500_000, "an island")
	tr.File("lists/names", "# comment\n;comment\n\na.txt\r\nsub/nested/\nnames/latin-\xe9\n./a b/second\n/links/relative\n../d\nno-such\n")
	tr.File("lists/names0", "#comment\x00a.txt\x00\x00names/new\nline\x00sub/x.txt")
	tr.File("lists/sub", "nested/other\nx.txt\n")
	tr.Mkdir("hollow/a/b/c")
	tr.Mkdir("hollow/d")
	tr.File("hollow/e/f/full", "not empty\n")
}

func richNames(tr *Tree) {
	for _, name := range OddNames {
		tr.File("names/"+name, "content of "+name+"\n")
	}
	tr.Mkdir("names/dir with\nnewline/and *")
	tr.File("names/dir with\nnewline/and */file", "odd\n")
	tr.File("names/-dir/-file", "dash\n")
	tr.File("names/deep/"+strings.Repeat(strings.Repeat("p", 60)+"/", 30)+"end", "deep down\n")
}

func richLinks(tr *Tree) {
	tr.File("links/target.txt", "pointed at\n")
	tr.Symlink("links/relative", "target.txt")
	tr.Symlink("links/up", "../a.txt")
	tr.Symlink("links/todir", "../sub")
	tr.Symlink("links/chain", "relative")
	tr.Symlink("links/dangling", "nowhere")
	tr.Symlink("links/loop", "loop")
	tr.Symlink("links/odd name", "new\nline \xff")
	tr.Symlink("links/long", strings.Repeat("l", 1000))
	tr.Symlink("tosub", "sub")
	tr.Symlink("tofile", "a.txt")
	tr.Symlink("escape/absolute", "/etc/hostname")
	tr.Symlink("escape/absolutedir", "/etc")
	tr.Symlink("escape/up", "../../outside.txt")
	tr.Symlink("escape/updir", "../..")
	tr.Symlink("escape/proc", "/proc/self/root")
	tr.Symlink("munged/link", "/rsyncd-munged/sub/x.txt")
	tr.Symlink("munged/bare", "/rsyncd-munged/")
	tr.File("hard/h1", "linked\n")
	tr.Link("hard/h2", "hard/h1")
	tr.Link("hard/inner/h3", "hard/h1")
	tr.File("hard/pair1", Noise(7, 5000))
	tr.Link("hard/pair2", "hard/pair1")
	tr.File("hard/single", "alone\n")
}

func richModes(tr *Tree) {
	files := map[string]uint32{
		"modes/0400": 0o400, "modes/0600": 0o600, "modes/0644": 0o644, "modes/0755": 0o755, "modes/0777": 0o777,
		"modes/4755": 0o4755, "modes/2755": 0o2755, "modes/1644": 0o1644, "modes/7777": 0o7777,
	}
	if os.Getuid() == 0 {
		files["modes/0000"], files["modes/0001"] = 0, 0o001
	}
	for name, mode := range files {
		tr.File(name, name)
		tr.Chmod(name, mode)
	}
	for name, mode := range map[string]uint32{
		"modes/dir1777": 0o1777, "modes/dir2755": 0o2755, "modes/dir0700": 0o700, "modes/dir0555": 0o555,
	} {
		tr.File(name+"/file", name)
		tr.Chmod(name, mode)
	}
}

func richTimes(tr *Tree) {
	for _, c := range []struct {
		name      string
		sec, nsec int64
	}{
		{"times/epoch", 0, 0},
		{"times/before", -1, 0},
		{"times/1960", -315_619_200, 500},
		{"times/nanosecond", 1_000_000_000, 1},
		{"times/almost", 1_000_000_000, 999_999_999},
		{"times/2038", 1 << 31, 0},
		{"times/2100", 4_102_444_800, 123_456_789},
		{"times/2107", 1<<32 + 10, 42},
		{"times/2200", 7_258_118_400, 0},
	} {
		tr.File(c.name, c.name)
		tr.Time(c.name, c.sec, c.nsec)
	}
	tr.Mkdir("times/olddir")
	tr.Time("times/olddir", 86400, 1)
	// Access times ahead of now stay: relatime leaves them alone when the
	// files are read.
	tr.File("atimes/a", "a\n")
	tr.File("atimes/b", "b\n")
	tr.Atime("atimes", 2_300_000_000)
	tr.Atime("atimes/a", 2_300_000_001)
	tr.Atime("atimes/b", 2_300_000_002)
}

func richFilters(tr *Tree) {
	for name, content := range map[string]string{
		"filters/.rsync-filter":       "# comment\n\n+ keep.o\n- *.o\nH hidden.*\nP protected\n- /anchored\n",
		"filters/.cvsignore":          "*.ign cvsword\n!keep\n",
		"filters/inner/.rsync-filter": "!\n- *.tmp\n- inner2/\n",
		"filters/inner/.cvsignore":    "*.cvs\n",
		"filters/.merge-w":            "*.word *.word2 -special",
		"filters/.merge-plain":        "- *.plain\n+ *.x\n",
		"filters/.excl":               "*.excl\nanchored\n",
		"filters2/.rsync-filter":      "- *.o\n",
		"filters2/a.o":                "object\n",
		"filters2/a.c":                "source\n",
	} {
		tr.File(name, content)
	}
	for _, name := range strings.Fields(`a.o keep.o b.c b.x hidden.txt protected anchored a.ign cvsword keep core
		tags backup~ a.plain a.word a.word2 special a.excl a.tmp
		inner/a.o inner/a.tmp inner/a.cvs inner/a.ign inner/anchored inner/hidden.txt inner/a.plain inner/a.word inner/a.excl
		inner/inner2/file inner/inner3/a.o inner/inner3/a.tmp inner/inner3/a.cvs
		CVS/Root .git/HEAD .svn/entries`) {
		tr.File("filters/"+name, name+"\n")
	}
}

func richAttributes(tr *Tree) {
	for _, name := range []string{"fifo", "fifo2"} {
		tr.Node("special/"+name, unix.S_IFIFO|0o640, 0, 0)
	}
	tr.Node("special/socket", unix.S_IFSOCK|0o755, 0, 0)
	tr.File("xattrs/file", "with attributes\n")
	tr.Xattr("xattrs/file", "user.short", "value")
	tr.Xattr("xattrs/file", "user.long", Noise(8, 1000))
	tr.Xattr("xattrs/file", "user.empty", "")
	tr.File("xattrs/same", "with the same\n")
	tr.Xattr("xattrs/same", "user.short", "value")
	tr.File("xattrs/acl", "with an ACL\n")
	tr.Xattr("xattrs/acl", "system.posix_acl_access", aclUser1000Read)
	tr.Mkdir("xattrs/dir")
	tr.Xattr("xattrs/dir", "user.dir", "on a directory")
	tr.Xattr("xattrs/dir", "system.posix_acl_default", aclUser1000Read)
}

// aclUser1000Read is user::rw-, user:1000:r--, group::r--, mask::r--,
// other::r-- in the kernel's form (linux/posix_acl_xattr.h): version 2, then
// tag, permissions and id of each entry.
const aclUser1000Read = "\x02\x00\x00\x00" +
	"\x01\x00\x06\x00\xff\xff\xff\xff" +
	"\x02\x00\x04\x00\xe8\x03\x00\x00" +
	"\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x10\x00\x04\x00\xff\xff\xff\xff" +
	"\x20\x00\x04\x00\xff\xff\xff\xff"

func richRootOnly(tr *Tree) {
	tr.Node("special/null", unix.S_IFCHR|0o666, 1, 3)
	tr.Node("special/char", unix.S_IFCHR|0o600, 5, 300)
	tr.Node("special/block", unix.S_IFBLK|0o660, 7, 200)
	tr.Node("special/block2", unix.S_IFBLK|0o660, 260, 70000)
	for name, id := range map[string][2]uint32{
		"owners/daemon": {1, 1}, "owners/nobody": {65534, 65534}, "owners/unknown": {12345, 54321},
		"owners/big": {4_000_000_000, 3_000_000_000}, "owners/mixed": {0, 12345},
	} {
		tr.File(name, name)
		tr.Chown(name, int(id[0]), int(id[1]))
	}
	tr.Symlink("owners/link", "daemon")
	tr.Chown("owners/link", 1, 2)
	tr.Mkdir("owners/dir")
	tr.Chown("owners/dir", 2, 3)
}
