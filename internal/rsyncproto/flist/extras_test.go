package flist

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// aliasTree has a directory with three files, of which one is below, and two links to
// the top.
func aliasTree() *vfstest.Memory {
	tree := vfstest.NewMemory()
	dir := func(mtime int64) vfstest.Node { // of a file system whose numbers say little
		return vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755, Dev: 1, Ino: 2, Mtime: vfs.Time{Sec: mtime}}}
	}
	file := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}}
	tree.Add("d", dir(2))
	tree.Add("d/f", file)
	tree.Add("d/g", file)
	tree.Add("d/sub", dir(3))
	tree.Add("d/sub/h", file)
	tree.Add("d/up", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "../d"})
	tree.Add("d/again", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "../d"})
	return tree
}

// listNames sends the list of sources, separated by blanks.
func listNames(o Options, sources string, prepare func(*Builder)) (*Builder, *List, error) {
	o.Version, o.FS, o.Filters, o.VarintFlags = 32, aliasTree(), &filter.List{}, true
	o.Report = func(Problem) error { return nil }
	b := New(context.Background(), wire.NewWriter(&bytes.Buffer{}), o)
	defer b.Close()
	prepare(b)
	l, err := b.First(func(yield func(Source) bool) {
		for name := range strings.FieldsSeq(sources) {
			if !yield(Source{Name: name}) {
				return
			}
		}
	})
	return b, l, err
}

// A client could name a directory as often as it liked, or have links followed in
// circles, and had a list as long as it liked in the server's memory.
func TestExtras(t *testing.T) {
	recurse := Options{Recurse: true}
	for _, c := range []struct {
		o               Options
		sources         string
		ordinary, extra int64
	}{
		{recurse, "d", 7, 0},
		{recurse, "d/", 7, 0},
		{recurse, "d d", 7, 7},
		{recurse, "d/ d//. ./d/", 7, 14},
		{recurse, "d/up/ d", 7, 7},
		{recurse, "d d/sub", 7, 2}, // a part of what was listed
		{recurse, "d/sub d", 7, 2}, // the other way round
		{recurse, "d/f d/g d/f", 2, 1},
		{Options{Relative: true, Recurse: true}, "d/sub/h d/f d/sub/h d/g", 3, 1}, // whatever comes along
		{Options{DeleteMissing: true}, "none d/f nothing", 1, 2},
		{Options{Dirs: true}, "d d/", 6, 1},
	} {
		b, _, err := listNames(c.o, c.sources, func(*Builder) {})
		if err != nil || b.extras.ordinary != c.ordinary || b.extras.n != c.extra {
			t.Errorf("%s: %d entries and %d extra ones, want %d and %d (%v)", c.sources, b.extras.ordinary, b.extras.n, c.ordinary, c.extra, err)
		}
	}
	for _, incremental := range []bool{false, true} {
		o := Options{Recurse: true, Incremental: incremental}
		for _, c := range []struct {
			o               Options
			sources         string
			ordinary, extra int64
			refused         bool
		}{
			{o, "d/ d/", 0, maxExtras - 1, true},
			{o, "d/ d/", 2 * maxExtras, maxExtras + 1, false},
			{o, "d/", 0, maxExtras, false},
			{Options{Recurse: true, CopyLinks: true, Incremental: incremental}, "d/", 0, maxExtras - 1, true},
			{Options{Relative: true}, "d/f d/f", 0, maxExtras, true},
		} {
			_, _, err := listNames(c.o, c.sources, func(b *Builder) { b.extras.ordinary, b.extras.n = c.ordinary, c.extra })
			var bound *wire.RangeError
			if errors.As(err, &bound) != c.refused || !c.refused && err != nil {
				t.Errorf("%s with %d extra entries: %v, want refused %v", c.sources, c.extra, err, c.refused)
			}
		}
	}
}

// Each name of a long --files-from had directories of its own, 200 bytes for each on
// the way to it.
func TestNamesShareDirectories(t *testing.T) {
	for _, c := range []struct {
		relative bool
		sources  string
		want     []string // transfer names
	}{
		{false, "d/f d/g d/sub/h", []string{"", ""}},
		{true, "d/f d/g d/sub/h", []string{"", "d", "d/sub"}},
		{true, "/d/f /d/g d/f", []string{"/", "/d", "", "d"}},
	} {
		_, l, err := listNames(Options{Relative: c.relative}, c.sources, func(*Builder) {})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range l.sent.dirs {
			got = append(got, d.name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, relative %v: directories %q, want %q", c.sources, c.relative, got, c.want)
		}
	}
}
