package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustRead(t *testing.T, rules ...string) *List {
	t.Helper()
	l, err := read(31, rules...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustEnter(t *testing.T, d *Dir, name string) *Dir {
	t.Helper()
	in, err := d.Enter(name)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestEnterSharesState(t *testing.T) {
	plain := mustRead(t, "- a").Top(nil, "/")
	if mustEnter(t, plain, "x") != plain {
		t.Error("without dir-merge rules a directory has a state of its own")
	}
	src := newMemory(map[string]string{".f": "- a\n", "s/.f": "# nothing\n", "t/.f": "- b\n"}, nil)
	first := mustEnter(t, mustRead(t, ": .f").Top(src, home), ".")
	for _, name := range []string{"s", "u"} {
		if mustEnter(t, first, name) != first {
			t.Errorf("%s: nothing changes, but the state is new", name)
		}
	}
	in := mustEnter(t, first, "t")
	if !in.Excluded("t/a", false) || !in.Excluded("t/b", false) || first.Excluded("b", false) {
		t.Error("entering changed the parent")
	}
}

// Siblings that add dir-merge rules do not see each other's.
func TestEnterSiblings(t *testing.T) {
	src := newMemory(map[string]string{
		"s/.f": ": .g\n", "s/.g": "- a\n",
		"t/.f": ": .h\n", "t/.h": "- b\n",
	}, nil)
	d := mustEnter(t, mustRead(t, ": .f").Top(src, home), ".")
	s, u := mustEnter(t, d, "s"), mustEnter(t, d, "t")
	if !s.Excluded("s/a", false) || s.Excluded("s/b", false) || u.Excluded("t/a", false) || !u.Excluded("t/b", false) {
		t.Error("siblings are mixed up")
	}
}

// Which files are read, and from where.
func TestEnterReads(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		tree  map[string]string
		root  string
		enter []string
		want  []string
	}{
		{"in order of rules", []string{": .f", ":C .cvsignore"}, nil, "/r", []string{".", "a"},
			[]string{"/r/.f", "/r/.cvsignore", "/r/a/.f", "/r/a/.cvsignore"}},
		{"parents once", []string{": /.f"}, nil, "/r/s", []string{".", "a"},
			[]string{"/.f", "/r/.f", "/r/s/.f", "/r/s/a/.f"}},
		{"parents of the first directory, not of the root", []string{": /r/.f"}, nil, "/r/s", []string{"a/b"},
			[]string{"/r/.f", "/r/s/.f", "/r/s/a/.f", "/r/s/a/b/.f"}},
		{"no ancestor", []string{": /q/.f", ": d/.g"}, nil, "/r", []string{"."}, []string{"/r/.f", "/r/.g"}},
		{"similar name", []string{": /r/.f"}, nil, "/rr", []string{"."}, []string{"/rr/.f"}},
		{"dots are clamped", []string{": ../../../../.f", ": /../../r/.g"}, nil, "/r/s", []string{"."},
			[]string{"/.f", "/r/.f", "/r/s/.f", "/r/.g", "/r/s/.g"}},
		{"not inherited: no parents", []string{":n /.f"}, nil, "/r/s", []string{"."}, []string{"/r/s/.f"}},
		{"no file name", []string{": /", ": ..", ": d/", ": /x/."}, nil, "/r", []string{".", "a"}, nil},
		{"same name twice", []string{": .f", ": /.f", ":C .f"}, nil, "/r", []string{"."}, []string{"/r/.f"}},
		{"found in a file", []string{": .f"}, map[string]string{"s/t/.f": ": ../.g\n"}, home, []string{"s", "s/t"},
			[]string{home + "/s/.f", home + "/s/t/.f", home + "/s/.g", home + "/s/t/.g"}},
		{"found in a parent's file", []string{": /srv/.f"}, map[string]string{".f": ": .g\n"}, home + "/s", []string{"t"},
			[]string{"/srv/.f", home + "/.f", home + "/s/.f", home + "/s/t/.f", home + "/.g", home + "/s/.g", home + "/s/t/.g"}},
		{"merge names", []string{": .f"}, map[string]string{
			"s/.f": ". ./a\n. b/../c\n. ../../../../../d\n. /srv/e\n. f\n",
			"s/a":  "", "s/c": "", "f": ""}, home, []string{"s"},
			[]string{home + "/s/.f", home + "/s/a", home + "/s/c", "/d"}},
		{"merge name in a parent's file", []string{": /.f"}, map[string]string{".f": ". a\n"}, home, []string{"s"},
			[]string{"/.f", "/srv/.f", home + "/.f", home + "/a"}},
		{"a cleared dir-merge rule is gone", []string{": .f"}, map[string]string{".f": ": .g\n!\n"}, home, []string{"."},
			[]string{home + "/.f"}},
	} {
		src := newMemory(c.tree, nil)
		d := mustRead(t, c.rules...).Top(src, c.root)
		var err error
		for _, name := range c.enter {
			if d, err = d.Enter(name); err != nil {
				break
			}
		}
		if diff := cmp.Diff(c.want, src.reads); diff != "" {
			t.Errorf("%s: reads (-want +got):\n%s", c.name, diff)
		}
	}
}

// What per-directory files in the directory s mean, as rsync 3.5.0 takes them.
func TestPerDirectoryFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		rule string
		tree map[string]string
		want string // names left out of those below
	}{
		{"modifier / is absolute", ": .f", map[string]string{".f": "-/ /a\n-/ /srv/fs/s/b\n"}, "b"},
		{"lone slash", ": .f", map[string]string{".f": "- /\n"}, ""},
		{"ends of lines", ": .f", map[string]string{".f": "- a\r- b\r\r\n- c"}, "a b c"},
		{"NUL", ": .f", map[string]string{".f": "- a\x00b\n- c\n\x00- x\n"}, "a c"},
		{"NUL in a bare pattern", ":C .f", map[string]string{".f": "\x00 a\x00x"}, "a"},
		{"long pattern", ": .f", map[string]string{".f": "- " + strings.Repeat("*", 4096) + "\n- c\n"}, "c"},
		{"long line", ": .f", map[string]string{".f": "bogus" + strings.Repeat("*", 5115) + "\n- c\n"}, "c"},
		{"blanks between words", ":w- .f", map[string]string{".f": "a\vb\fc\xa0 x\x85"}, "a b"},
		{"words: clear", ":w .f", map[string]string{".f": "-_a ! -_b clear -_c"}, "c"},
		{"words: CVS", ":w .f", map[string]string{".f": "-C -_b"}, "b k.o"},
		{"bare: ! is a pattern", ":- .f", map[string]string{".f": "a\n!\n#b\n b"}, "a"},
		{"CVS: ! clears", ":C .f", map[string]string{".f": "a ! #b b"}, "b"},
		{"receiver's file", ":r .f", map[string]string{".f": "- a\n"}, ""},
		{"both sides", ":sr .f", map[string]string{".f": "- a\n"}, "a"},
		{"sides", ": .f", map[string]string{".f": "P a\nR b\n-r c\n-sr x\n-sC\n"}, "x k.o"},
		{"sides in a merged file", ": .f", map[string]string{".f": ". ./.g\n", ".g": "P a\n-r b\n"}, "a b"},
		{"merge for the receiver", ": .f", map[string]string{".f": ".r ./.g\n", ".g": "- a\n"}, "a"},
		{"merge of bare patterns", ": .f", map[string]string{".f": ".- ./.g\n", ".g": "a\n- b\n"}, "a"},
		{"merge of words", ": .f", map[string]string{".f": ".w ./.g\n", ".g": "-_a -_b"}, "a b"},
		{"merge of a CVS list clears all", ": .f", map[string]string{".f": "- x\n.C ./.g\n", ".g": "a ! b"}, "b"},
		{"merge of absolute rules", ": .f", map[string]string{".f": "./ ./.g\n", ".g": "- /a\n- s/b\n"}, "b"},
		{"merged rules are not anchored here", ": .f", map[string]string{".f": ". ./.g\n", ".g": "- /a\n- /s/b\n"}, "b"},
		{"merge excludes itself", ": .f", map[string]string{".f": ".e ./a\n", "a": "- b\n"}, "a b"},
		{"dir-merge excludes itself", ": .f", map[string]string{".f": ":e a\n:e b\n:e a\n", "a": "- c\n"}, "a b c"},
		{"default name", ": .f", map[string]string{".f": ":C\n", ".cvsignore": "a b"}, "a b"},
		{"clear and again", ": .f", map[string]string{".f": ": .g\n!\n: .g\n", ".g": "- a\n"}, "a"},
		{"include", ":+ .f", map[string]string{".f": "a\n"}, ""},
	} {
		tree := map[string]string{}
		for name, content := range c.tree {
			tree["s/"+name] = content
		}
		d := mustRead(t, c.rule).Top(newMemory(tree, nil), home)
		d = mustEnter(t, d, "s")
		var out []string
		for _, name := range []string{"a", "b", "c", "x", "k.o"} {
			if d.Excluded("s/"+name, false) {
				out = append(out, name)
			}
		}
		if got := strings.Join(out, " "); got != c.want {
			t.Errorf("%s: left out %q, want %q", c.name, got, c.want)
		}
	}
}

// A second rule for a name in force is ignored even where the rules of the
// first cannot be reached any more; its file is read all the same.
func TestDirMergeOutOfReach(t *testing.T) {
	for rule, file := range map[string]string{": .f": "!\n: .g\n", ":n .f": ": .g\n"} {
		src := newMemory(map[string]string{".f": ": .g\n", "s/.f": file, "s/.g": "- b\n"}, nil)
		d := mustEnter(t, mustRead(t, rule).Top(src, home), ".")
		d = mustEnter(t, d, "s")
		if d.Excluded("s/b", false) {
			t.Errorf("%q: the second rule counts", rule)
		}
		if !slices.Contains(src.reads, home+"/s/.g") {
			t.Errorf("%q: s/.g is not read", rule)
		}
	}
}

// A directory whose name looks like a pattern anchors like any other.
func TestAnchorInOddDirectory(t *testing.T) {
	src := newMemory(map[string]string{"s[1]*/.f": "- /x\n- /y*\n"}, nil)
	d := mustEnter(t, mustRead(t, ": .f").Top(src, home), "s[1]*")
	if !d.Excluded("s[1]*/x", false) || !d.Excluded("s[1]*/y1", false) || d.Excluded("s1/x", false) {
		t.Error("the directory's name is taken for a pattern")
	}
}

func TestAnchorAboveTheRoot(t *testing.T) {
	src := newMemory(map[string]string{".f": "- /s/t/a\n- /s/t/*.o\n- /a\n- /q/a\n"}, nil)
	d := mustEnter(t, mustRead(t, ": /.f").Top(src, home+"/s"), "t")
	for name, want := range map[string]bool{"t/a": true, "t/k.o": true, "t/u/k.o": false, "t/u/a": false} {
		if got := d.Excluded(name, false); got != want {
			t.Errorf("Excluded(%q) = %t", name, got)
		}
	}
}

func TestEveryArgumentScansItsParents(t *testing.T) {
	src := newMemory(map[string]string{".f": "- a\n", "s/.f": "- b\n"}, nil)
	l := mustRead(t, ": /.f")
	mustEnter(t, l.Top(src, home), "s")
	d := mustEnter(t, l.Top(src, home), "t")
	if !d.Excluded("t/a", false) || d.Excluded("t/b", false) {
		t.Error("the second argument has not the rules of its own parents")
	}
}

func TestPerDirectoryErrors(t *testing.T) {
	loop := ""
	for range 3 {
		loop += ". ./.f\n"
	}
	dirMerges := ""
	for i := range maxMerges {
		dirMerges += fmt.Sprintf(": .%d\n", i)
	}
	for _, c := range []struct {
		name string
		rule string
		tree map[string]string
		want string
	}{
		{"unknown", ": .f", map[string]string{".f": "- a\n\n#\nsecret\n"}, "Unknown filter rule: <rule from /srv/fs/.f line 4>"},
		{"CRLF is one end", ": .f", map[string]string{".f": "- a\r\nsecret\n"}, "Unknown filter rule: <rule from /srv/fs/.f line 2>"},
		{"modifier", ": .f", map[string]string{".f": "-q secret"}, "invalid modifier in filter rule: <rule from /srv/fs/.f line 1>"},
		{"word", ":w .f", map[string]string{".f": "- a"}, "unexpected end of filter rule: <rule from /srv/fs/.f>"},
		{"word, trailing", ":w .f", map[string]string{".f": "clear_"}, "'!' rule has trailing characters: <rule from /srv/fs/.f>"},
		{"comment among words", ":w .f", map[string]string{".f": "#x"}, "Unknown filter rule: <rule from /srv/fs/.f>"},
		{"sides", ":s .f", map[string]string{".f": "H a"}, "specified-side merge file contains specified-side filter: <rule from /srv/fs/.f line 1>"},
		{"sides of a merge", ": .f", map[string]string{".f": ".s ./.g", ".g": "- a\n-s b"}, "specified-side merge file contains specified-side filter: <rule from /srv/fs/.g line 2>"},
		{"missing merge", ": .f", map[string]string{".f": ". .g"}, "failed to open exclude file <rule from /srv/fs/.f line 1>"},
		{"merge without name", ": .f", map[string]string{".f": ". ./"}, "failed to open exclude file <rule from /srv/fs/.f line 1>"},
		{"loop", ": .f", map[string]string{".f": loop}, "merge-file include depth limit (32) exceeded: <rule from /srv/fs/.f line 1>"},
		{"rules", ": .f", map[string]string{".f": strings.Repeat("- a\n", maxRules+1)}, "too many filter rules: <rule from /srv/fs/.f line 65537>"},
		{"rules of -C", ":w .f", map[string]string{".f": strings.Repeat("-C ", maxRules/36+2)}, "too many filter rules: <rule from /srv/fs/.f>"},
		{"file size", ": .f", map[string]string{".f": strings.Repeat("#", MaxFile+1)}, "filter file too large: /srv/fs/.f"},
		{"all file sizes", ": .f", map[string]string{".f": strings.Repeat(". ./.g\n", 5), ".g": strings.Repeat("#", MaxFile)}, "filter file too large: /srv/fs/.g"},
		{"dir-merge rules", ": .f", map[string]string{".f": dirMerges}, "too many dir-merge rules: <rule from /srv/fs/.f line 256>"},
	} {
		_, err := mustRead(t, c.rule).Top(newMemory(c.tree, nil), home).Enter(".")
		var se *SyntaxError
		if !errors.As(err, &se) || se.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// Files that name files twice each would be read 2^32 times without a bound on
// the whole.
func TestMergeFanOut(t *testing.T) {
	tree := map[string]string{".f": ". ./0\n"}
	for i := range maxDepth {
		tree[fmt.Sprint(i)] = strings.Repeat(fmt.Sprintf(". ./%d\n", i+1), 2)
	}
	src := newMemory(tree, nil)
	if _, err := mustRead(t, ": .f").Top(src, home).Enter("."); err == nil {
		t.Error("no error")
	}
	if len(src.reads) > maxRules {
		t.Errorf("%d reads", len(src.reads))
	}
}

// The bound is on the files of all directories on the way down.
func TestBudgetOfNestedDirectories(t *testing.T) {
	tree := map[string]string{}
	name, depth := ".", 0
	for ; depth < 8; depth++ {
		name += "/d"
		tree[name[2:]+"/.f"] = strings.Repeat("- a\n", maxRules/4)
	}
	d, name := mustRead(t, ": .f").Top(newMemory(tree, nil), home), "."
	var err error
	for depth = 0; err == nil && depth < 8; depth++ {
		name += "/d"
		d, err = d.Enter(name[2:])
	}
	if depth != 5 {
		t.Errorf("ended at depth %d: %v", depth, err)
	}
}

type brokenSource struct{ err error }

func (s brokenSource) ReadFile(string, string) ([]byte, error) { return nil, s.err }

func TestSourceErrors(t *testing.T) {
	failure := errors.New("disk on fire")
	if _, err := mustRead(t, ": .f").Top(brokenSource{failure}, "/").Enter("."); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	top := mustRead(t, ": .f").Top(brokenSource{fmt.Errorf("reading: %w", ErrNoFile)}, "/")
	if _, err := top.Enter("."); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}

func TestAddCVS(t *testing.T) {
	src := newMemory(map[string]string{".cvsignore": "b\n"}, nil)
	for _, rules := range [][]string{{"+ a.o"}, {"+ a.o", ":C .cvsignore"}} {
		l := mustRead(t, rules...)
		l.AddCVS()
		d := mustEnter(t, l.Top(src, home), ".")
		for name, want := range map[string]bool{"a.o": false, "b.o": true, "core": true, "b": true, "c": false, ".git": false} {
			if got := d.Excluded(name, false); got != want {
				t.Errorf("%q: Excluded(%q) = %t", rules, name, got)
			}
		}
		if !d.Excluded(".git", true) {
			t.Error(".git/ is not left out")
		}
	}
}

// manyRules is a list like those of real backups, and a name that no rule
// leaves out.
func manyRules(tb testing.TB) (*Dir, string) {
	rules := []string{"- *.o", "- *~", "- .cache/", "- /proc/*", "- **/node_modules", "- foo/**/bar", "- a?c", "- [0-9]*.tmp",
		"- lost+found", "- /home/*/.local/share/Trash/***", "- /var/lib/docker", "- target/debug"}
	for i := range 38 {
		rules = append(rules, fmt.Sprintf("- name%d", i))
	}
	l, err := read(31, rules...)
	if err != nil {
		tb.Fatal(err)
	}
	return l.Top(nil, "/srv/data"), "home/someone/projects/website/src/components/index.html"
}

func TestExcludedDoesNotAllocate(t *testing.T) {
	d, name := manyRules(t)
	if n := testing.AllocsPerRun(100, func() {
		if d.Excluded(name, false) {
			t.Error("left out")
		}
	}); n != 0 {
		t.Errorf("%v allocations for one name", n)
	}
}

func BenchmarkExcluded50(b *testing.B) {
	d, name := manyRules(b)
	b.ReportAllocs()
	for b.Loop() {
		d.Excluded(name, false)
	}
}
