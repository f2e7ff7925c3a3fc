package flist

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// An error met in a later list went out with its end only, and a client of
// protocol 30 with --delete went on deleting.
func TestErrorAtEndOfList(t *testing.T) {
	end := []byte{
		3, 0, 0, 7, // data
		0x04, 0x10, // end of the list, with an error
		1, // IOGeneral
	}
	message := []byte{
		4, 0, 0, 7 + 22, // MSG_IO_ERROR
		1, 0, 0, 0, // IOGeneral
	}
	for _, c := range []struct {
		version wire.Version
		first   bool
		want    []byte
	}{
		{30, true, end},
		{30, false, append(end[:len(end):len(end)], message...)},
		{31, true, end},
		{31, false, end},
	} {
		var out bytes.Buffer
		w := wire.NewWriter(&out)
		w.Frame()
		b := New(context.Background(), w, Options{Version: c.version, Incremental: true, SafeFlist: true})
		b.begin()
		b.AddIOError(IOGeneral)
		if _, err := b.finish(c.first); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if !bytes.Equal(out.Bytes(), c.want) {
			t.Errorf("protocol %d, first list %v: % x, want % x", c.version, c.first, out.Bytes(), c.want)
		}
	}
}

// Of a client that was gone the rest of a directory was still put to its rules, which
// can take a second for a name and days for a directory.
func TestEndsWithinADirectory(t *testing.T) {
	tree := vfstest.NewMemory()
	tree.Add("dir", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
	for _, name := range []string{"a", "b", "c"} {
		tree.Add("dir/"+name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}})
	}
	for _, sources := range [][]Source{
		{{Name: "dir/"}},
		{{Name: "dir/a"}, {Name: "dir/b"}, {Name: "dir/c"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		b := New(ctx, wire.NewWriter(&bytes.Buffer{}), Options{Version: 31, FS: tree, Filters: &filter.List{}, Recurse: true,
			Encode: func(name string) (string, error) {
				if seen = append(seen, name); name == "a" {
					cancel()
				}
				return name, nil
			}})
		_, err := b.First(slices.Values(sources))
		b.Close()
		if !errors.Is(err, context.Canceled) || seen[len(seen)-1] != "a" {
			t.Errorf("%v: %v after %q, want it to end with a", sources, err, seen)
		}
	}
}
