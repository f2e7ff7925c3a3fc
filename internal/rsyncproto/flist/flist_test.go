package flist

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// named returns the entry of a transfer name; directories end in a slash.
func named(name string) *Entry {
	e := &Entry{mode: vfs.ModeRegular}
	if s, ok := strings.CutSuffix(name, "/"); ok {
		name, e.mode = s, vfs.ModeDir
	}
	e.dir = &dir{}
	e.dir.name, e.base = splitName(name)
	return e
}

// The order that the stock client counts in, for one tree (section 2.4.1).
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		v    wire.Version
		want string
	}{
		{32, "./|.hid|Z|foo |foo!|foo0|fop|z|~|ê|!d/|!d/x|-d/|-d/x|Foo/|Foo/x|foo-bar/|foo-bar/x|foo.d/|foo.d/x|foo/|foo/a|foo/x|foo/z|foo/sub/|foo/sub/x|foobar/|foobar/x|é/|é/x"},
		{28, "!d/|!d/x|-d/|-d/x|./|.hid|Foo/|Foo/x|Z|foo/|foo |foo!|foo-bar/|foo-bar/x|foo.d/|foo.d/x|foo/a|foo/sub/|foo/sub/x|foo/x|foo/z|foo0|foobar/|foobar/x|fop|z|~|é/|é/x|ê"},
	} {
		want := strings.Split(c.want, "|")
		l := &List{compare: countingOrder(c.v)}
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(want)) {
			l.sent.add(named(want[i]))
		}
		var got []string
		for i := range l.Len() {
			e := l.Entry(int32(i))
			name := e.Name()
			if e.isDir() {
				name += "/"
			}
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("protocol %d:\n got %q\nwant %q", c.v, got, want)
		}
	}
}

func TestOrderKeepsEqualNames(t *testing.T) {
	l := &List{compare: countingOrder(32)}
	for i := range 20 {
		l.sent.add(named([]string{"b", "a"}[i%2]))
	}
	l.unpack()
	for i, e := range l.entries[1:] {
		if p := l.entries[i]; p.Name() == e.Name() && p.wire > e.wire {
			t.Fatalf("entry %d sent before %d counts after it", e.wire, p.wire)
		}
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	var all []*Entry
	for _, n := range []string{"./", "a", "a/", "a/b", "a/b/", "a/b/c", "a.b/", "a.b/c", "a-", "a-/x", "aa/", "b", "/", "/a/", "/a/b", "/a/b/", "/b"} {
		if n == "/" {
			n = "/./"
		}
		all = append(all, named(n))
	}
	for _, a := range all {
		for _, b := range all {
			if ab, ba := sign(compare(a, b)), sign(compare(b, a)); ab != -ba {
				t.Errorf("compare(%q, %q) = %d but the other way %d", a.Name(), b.Name(), ab, ba)
			}
			for _, c := range all {
				if compare(a, b) < 0 && compare(b, c) < 0 && compare(a, c) >= 0 {
					t.Errorf("%q < %q < %q but not %q < %q", a.Name(), b.Name(), c.Name(), a.Name(), c.Name())
				}
			}
		}
	}
}

func sign(n int) int { return min(1, max(-1, n)) }

func TestPlace(t *testing.T) {
	for _, c := range []struct {
		base, name string
		relative   bool
		want       place
	}{
		{"", "a/b/f", false, place{root: "a/b/", name: "f"}},
		{"", "f", false, place{name: "f"}},
		{"", "a/b/", false, place{root: "a/b/", name: ".", contents: true}},
		{"", "a/b/.", false, place{root: "a/b/", name: ".", contents: true}},
		{"", "", false, place{name: ".", contents: true}},
		{"", ".", false, place{name: ".", contents: true}},
		{"", "./", false, place{root: "./", name: ".", contents: true}},
		{"", "/", false, place{root: "/", name: ".", contents: true}},
		{"", "/a", false, place{root: "/", name: "a"}},
		{"base", "sub/f", false, place{root: "base/sub/", name: "f"}},
		{"", "a/b/f", true, place{name: "a/b/f"}},
		{"", "a//b/./f/", true, place{root: "a//b/", name: "f", contents: true}},
		{"", "a/./b/c", true, place{root: "a/", name: "b/c"}},
		{"", "a/./", true, place{root: "a/", name: ".", contents: true}},
		{"", "./a/b", true, place{name: "a/b", dot: true}},
		{"", ".", true, place{name: ".", contents: true}},
		{"", "./", true, place{name: ".", contents: true}},
		{"", "/srv/x", true, place{name: "/srv/x"}},
		{"", "/", true, place{name: "/.", contents: true}},
		{"", "/srv/./x/y", true, place{root: "/srv/", name: "x/y"}},
		{"base", "a/./d/f", true, place{root: "base/a/", name: "d/f"}},
		{"base", "d/f", true, place{root: "base", name: "d/f"}},
		{"base", "./d/f", true, place{root: "base", name: "d/f", dot: true}},
	} {
		if got := (Source{c.base, c.name}).place(c.relative); got != c.want {
			t.Errorf("%q + %q, relative %v: %+v, want %+v", c.base, c.name, c.relative, got, c.want)
		}
	}
}

func TestCleanListed(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", "/a/b": "a/b", "a//b": "a/b", "a/./b": "a/b", "./a": "./a", "a/": "a/", "a/.": "a/",
		"../../etc/passwd": "etc/passwd", "a/../b": "b", "a/../../../b": "b", "..": ".", "/": ".", ".": ".", "./": ".",
	} {
		if got := CleanListed(in, false); got != want {
			t.Errorf("CleanListed(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"a/./b": "a/./b", "/a/./b/./c/": "a/./b/c/", "../a/../b/./../c": "b/./c", "a/b": "a/b"} {
		if got := CleanListed(in, true); got != want {
			t.Errorf("CleanListed(%q) with -R = %q, want %q", in, got, want)
		}
	}
}

// The table of section 2.1.6: links L, d1/L and d1/d2/L.
func TestUnsafeLink(t *testing.T) {
	for _, c := range []struct {
		targets string
		want    [3]bool
	}{
		{"a ./a a/b . a/./b ... ..a", [3]bool{false, false, false}},
		{".. ../ ../a ..//a ../. ../..a", [3]bool{true, false, false}},
		{"../../a ..//..//a ../../.", [3]bool{true, true, false}},
		{"../.. ../../.. /a / a/.. a/../b ../a/../b ./.. ./../a .././../a", [3]bool{true, true, true}},
	} {
		for target := range strings.SplitSeq(c.targets, " ") {
			for i, name := range []string{"L", "d1/L", "d1/d2/L"} {
				if got := unsafeLink(target, name); got != c.want[i] {
					t.Errorf("%s -> %s: unsafe %v, want %v", name, target, got, c.want[i])
				}
			}
		}
	}
	if !unsafeLink("", "L") {
		t.Error("an empty target is safe")
	}
}
