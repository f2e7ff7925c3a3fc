package fuzz

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/rsyncproto/acl"
	"rrserve/internal/rsyncproto/fakesuper"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// FuzzACL reads access control lists as a file system may hold them: what is
// accepted is in order, and its entries say no more than they can.
func FuzzACL(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00"), uint16(0o644))
	f.Add([]byte("\x02\x00\x00\x00"+
		"\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff"+
		"\x08\x00\x07\x00\x02\x00\x00\x00\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"), uint16(0o674))
	f.Add([]byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x01\x00\x06\x00\xff\xff\xff\xff"), uint16(0))
	f.Fuzz(func(t *testing.T, blob []byte, mode uint16) {
		defer limits{64 << 10, 20}.hold(t, len(blob))()
		a, err := acl.Parse(blob)
		if err != nil {
			return
		}
		if len(a.Named) > len(blob)/8 || !slices.IsSortedFunc(a.Named, func(x, y acl.Named) int {
			if x.Group != y.Group {
				return map[bool]int{false: -1, true: 1}[x.Group]
			}
			return int(int64(x.ID) - int64(y.ID))
		}) {
			t.Fatalf("%+v", a)
		}
		for _, p := range []acl.Perm{a.Owner, a.Group, a.Mask, a.Other} {
			if p > 7 && p != acl.None {
				t.Fatalf("%+v", a)
			}
		}
		a.Reduce(uint32(mode))
		if a.Owner != acl.None || a.Other != acl.None || a.Mask == acl.None && a.Group != acl.None && len(a.Named) == 0 {
			t.Errorf("reduced to %+v", a)
		}
	})
}

// FuzzFakeACL reads access control lists as --fake-super keeps them, or as
// anybody may have written them.
func FuzzFakeACL(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x00\x04\x00\x00\x00\x06\x00\x00\x00\x80\x00\x00\x00\xd2\x04\x00\x00\x06\x00\x00\x80"), uint16(0o664))
	f.Add([]byte("\x07\x00\x00\x00\x08\x00\x00\x00\x06\x00\x00\x00\x80\x00\x00\x00"), uint16(0))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, blob []byte, mode uint16) {
		a, err := acl.ParseFake(blob, uint32(mode))
		if err != nil {
			return
		}
		perms := []acl.Perm{a.Owner, a.Group, a.Other}
		if a.Mask != acl.None {
			perms = append(perms, a.Mask)
		}
		for _, n := range a.Named {
			perms = append(perms, n.Perm)
		}
		if slices.Max(perms) > 7 || len(a.Named) != len(blob)/8-2 {
			t.Errorf("%+v", a)
		}
	})
}

// FuzzFakeStat shows a file with any attribute: what comes out has a type, and
// nothing but what the attribute tells has changed.
func FuzzFakeStat(f *testing.F) {
	for _, seed := range []string{"100644 0,0 5:6", " 20644 1, 3 +5: -6 ", "120777 0,0 0:0", "0 0,0 0:0", "99 0,0", "7777777777777777777777777 0,0 0:0", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		raw := vfs.Info{Mode: vfs.ModeRegular | 0o600, UID: 1, GID: 2, Ino: 3}
		tree := vfstest.NewMemory()
		raw = tree.Add("f", vfstest.Node{Info: raw, Data: []byte("text"), Xattrs: map[string][]byte{fakesuper.Attr: append([]byte{}, value...)}}).Info
		fake := fakesuper.New(tree)
		list, err := fake.ReadDir(vfs.Root(), nil)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		in := list[0]
		if in.Err != nil || len(fake.Unread()) > 0 {
			in.Err = nil
			if in != raw {
				t.Errorf("%+v, want %+v", in, raw)
			}
			return
		}
		raw.UID, raw.GID, raw.RdevMajor, raw.RdevMinor = in.UID, in.GID, in.RdevMajor, in.RdevMinor
		types := []uint32{vfs.ModeSocket, vfs.ModeSymlink, vfs.ModeRegular, vfs.ModeBlock, vfs.ModeDir, vfs.ModeChar, vfs.ModeFIFO}
		if mode := in.Mode; !slices.Contains(types, in.Type()) || mode&^(vfs.ModeType|0o7777) != 0 {
			t.Errorf("mode %o", mode)
		}
		if raw.Mode = in.Mode; in != raw {
			t.Errorf("%+v, want %+v", in, raw)
		}
	})
}

// FuzzXattrRequest asks for values of attributes. Whatever the requests are,
// the session ends, each value is sent once for a request, and what is refused
// is a violation of the protocol.
func FuzzXattrRequest(f *testing.F) {
	tree := vfstest.NewMemory()
	dir := vfs.Info{Mode: vfs.ModeDir | 0o755}
	long := func(b byte) []byte { return bytes.Repeat([]byte{b}, 1000) }
	tree.Add("d", vfstest.Node{Info: dir, Xattrs: map[string][]byte{"user.d": long('d')}})
	tree.Add("d/f", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: []byte("data"),
		Xattrs: map[string][]byte{"user.a": long('a'), "user.b": []byte("short"), "user.c": long('c')}})
	tree.Add("d/sub", vfstest.Node{Info: dir, Xattrs: map[string][]byte{"user.e": long('e')}})
	for _, seed := range []string{
		"\x01\x00\x01\x01\x00",                         // the directory's one value
		"\x02\x00\x81\x01\x02\x00" + zeros,             // both of the file, with its data
		"\x02\x00\x01\x03\xf0\xfe\xff\xff\xff\x00",     // backwards
		"\x02\x00\x51\x01x\x00",                        // as a further link
		"\x02\x00\x01\x02\x00",                         // a short one
		"\x02\x00\x01\xf0\xff\xff\xff\x7f\x01\x00",     // far beyond
		"\x02\x00\x01\x01\x02\xf0\xfe\xff\xff\xff\x02", // without an end
		"\xfe\x00\x00\x00\x01\x01\x00",                 // index 0
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, requests []byte, incremental bool) {
		defer limits{1 << 20, 2000}.hold(t, len(requests))()
		caps := "LsfxCIvu"
		if incremental {
			caps = "i" + caps
		}
		var in, out bytes.Buffer
		w := wire.NewWriter(&in)
		w.Int(32)
		w.Vstring([]byte("md5"))
		w.Frame()
		w.Int(0)
		w.Write(requests)
		for range 8 {
			w.Ndx(32, wire.NdxDone)
		}
		w.Flush()
		res := rsyncproto.Serve(context.Background(), rsyncproto.Config{
			Command: "rsync --server --sender -rX -e." + caps + " . d", FS: tree, Seed: 1,
			Stdin: &in, Stdout: &out, Stderr: &bytes.Buffer{}, Abort: func() {},
		})
		// A request is at least 5 bytes and gets two values at most.
		if limit := 2000 + (len(requests)/5+1)*2100; out.Len() > limit {
			t.Errorf("%d bytes for a request of %d", out.Len(), len(requests))
		}
		if res.ExitStatus == 0 && res.Err != nil || strings.Contains(out.String(), "panic") {
			t.Errorf("%+v", res)
		}
	})
}

// zeros is a sum head without blocks.
const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
