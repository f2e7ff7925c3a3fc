package fuzz

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/rsyncproto/acl"
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
		defer limits{16 << 10, 20}.hold(t, len(blob))()
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
