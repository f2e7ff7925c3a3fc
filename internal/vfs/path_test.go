package vfs_test

import (
	"errors"
	"strings"
	"testing"

	"rrserve/internal/vfs"
)

func TestParsePath(t *testing.T) {
	long := "/" + strings.Repeat("n", vfs.MaxPath-1)
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"", "/", nil},
		{"/", "/", nil},
		{"//", "/", nil},
		{".", "/", nil},
		{"./", "/", nil},
		{"/./.", "/", nil},
		{"a", "/a", nil},
		{"/a", "/a", nil},
		{"a/", "/a", nil},
		{"/a/b", "/a/b", nil},
		{"a//b", "/a/b", nil},
		{"./a/./b/.", "/a/b", nil},
		{".a", "/.a", nil},
		{"...", "/...", nil},
		{"..a/b..", "/..a/b..", nil},
		{"a b\n\xff", "/a b\n\xff", nil},
		{"a\\..\\b", "/a\\..\\b", nil},
		{long, long, nil},
		{long[1:], long, nil},
		{long + "/", long, nil},
		{long + "n", "", vfs.ErrTooLong},
		{long[1:] + "n", "", vfs.ErrTooLong},
		{"..", "", vfs.ErrDotDot},
		{"/..", "", vfs.ErrDotDot},
		{"a/..", "", vfs.ErrDotDot},
		{"a/../b", "", vfs.ErrDotDot},
		{"a/.././b", "", vfs.ErrDotDot},
		{"\x00", "", vfs.ErrNUL},
		{"a\x00b", "", vfs.ErrNUL},
		{"../\x00", "", vfs.ErrNUL},
	} {
		p, err := vfs.ParsePath(c.name)
		if p.String() != c.want || err != c.err || p.Follows() {
			t.Errorf("ParsePath(%.20q) = %.20q, %v, want %.20q, %v", c.name, p, err, c.want, c.err)
		}
	}
}

func TestPath(t *testing.T) {
	for _, c := range []struct {
		name, dir, base string
		root            bool
	}{
		{"/", "/", "", true},
		{"/a", "/", "a", false},
		{"/a/b", "/a", "b", false},
		{"/a/b/c", "/a/b", "c", false},
	} {
		p, err := vfs.ParsePath(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Dir().String() != c.dir || p.Base() != c.base || p.IsRoot() != c.root {
			t.Errorf("%q: dir %q base %q root %v, want %q %q %v", p, p.Dir(), p.Base(), p.IsRoot(), c.dir, c.base, c.root)
		}
		if p.Follows() || !p.Follow().Follows() || p.Follow() == p || p.Follow().String() != c.name {
			t.Errorf("%q: Follow gives %+v", p, p.Follow())
		}
		if p.IsRoot() {
			continue
		}
		if again, err := p.Dir().Join(p.Base()); again != p || err != nil {
			t.Errorf("%q: dir and base join to %q, %v", p, again, err)
		}
	}
}

func TestJoin(t *testing.T) {
	dir, err := vfs.ParsePath("/dir")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", vfs.MaxPath-len("/dir/"))
	for _, c := range []struct {
		dir  vfs.Path
		name string
		want string
		err  error
	}{
		{dir, "a", "/dir/a", nil},
		{dir, "...", "/dir/...", nil},
		{dir, "\n\xff", "/dir/\n\xff", nil},
		{dir, long, "/dir/" + long, nil},
		{dir, long + "n", "", vfs.ErrTooLong},
		{dir, "", "", vfs.ErrName},
		{dir, ".", "", vfs.ErrName},
		{dir, "..", "", vfs.ErrDotDot},
		{dir, "/", "", vfs.ErrName},
		{dir, "a/b", "", vfs.ErrName},
		{dir, "/a", "", vfs.ErrName},
		{dir, "a/", "", vfs.ErrName},
		{dir, "../x", "", vfs.ErrName},
		{dir, "a\x00", "", vfs.ErrNUL},
		{vfs.Root(), "a", "/a", nil},
		{dir.Follow(), "a", "/dir/a", nil},
		{vfs.Path{}, "a", "", vfs.ErrName},
	} {
		p, err := c.dir.Join(c.name)
		if p.String() != c.want || !errors.Is(err, c.err) || p.Follows() {
			t.Errorf("%q joined with %.20q = %.20q, %v, want %.20q, %v", c.dir, c.name, p, err, c.want, c.err)
		}
	}
}
