package fakesuper

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// What rsync 3.5.0 makes of the attribute's value.
func TestApply(t *testing.T) {
	const reg, char = vfs.ModeRegular, vfs.ModeChar
	for value, want := range map[string]vfs.Info{
		"100644 0,0 5:6":                      {Mode: reg | 0o644, UID: 5, GID: 6},
		"106755 0,0 5:6":                      {Mode: reg | 0o6755, UID: 5, GID: 6},
		" 100644\t 0,\n0  5: 6":               {Mode: reg | 0o644, UID: 5, GID: 6},
		"+100644 +0,-0 +5:+6 and more":        {Mode: reg | 0o644, UID: 5, GID: 6},
		"100644 0,0 4294967294:-2":            {Mode: reg | 0o644, UID: 4294967294, GID: 4294967294},
		"100644 0,0 99999999999999999999:1x":  {Mode: reg | 0o644, UID: 4294967295, GID: 1},
		"1100644 0,0 1:2":                     {Mode: reg | 0o644, UID: 1, GID: 2},
		"20600 259,1048575 0:0":               {Mode: char | 0o600, RdevMajor: 259, RdevMinor: 1048575},
		"20600 4294967295,8589934593 0:0":     {Mode: char | 0o600, RdevMajor: 4294967295, RdevMinor: 1},
		"120777 0,0 0:0":                      {Mode: vfs.ModeSymlink | 0o777},
		"100644 0,0 5 :6":                     {},
		"100644 0 ,0 5:6":                     {},
		"1006440,0 5:6":                       {},
		"100649 0,0 5:6":                      {},
		"100644 0,0 5:":                       {},
		"100644 0,0 5:-":                      {},
		"100644":                              {},
		"":                                    {},
		"20644 0x10,1 1:1":                    {},
		"0 0,0 0:0":                           {}, // of no type
		"644 0,0 3:4":                         {},
		"70644 0,0 3:4":                       {},
		"-1 0,0 0:0":                          {},
		"777777777777777777777777777 0,0 0:0": {},
	} {
		var in vfs.Info
		if ok := apply(value, &in); ok != (want.Mode != 0) || in != want {
			t.Errorf("%q: %v, %+v, want %+v", value, ok, in, want)
		}
	}
}

func node(mode uint32, data, stat string) vfstest.Node {
	n := vfstest.Node{Info: vfs.Info{Mode: mode}, Data: []byte(data)}
	if stat != "" {
		n.Xattrs = map[string][]byte{Attr: []byte(stat)}
	}
	return n
}

func path(t *testing.T, name string) vfs.Path {
	t.Helper()
	p, err := vfs.ParsePath(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// An object is the same whether it is listed or looked at.
func TestTree(t *testing.T) {
	const raw = vfs.ModeRegular | 0o600
	m := vfstest.NewMemory()
	m.Add("plain", node(raw, "x", ""))
	m.Add("device", node(raw, "x", "20660 5,1 7:8"))
	m.Add("dir", node(vfs.ModeDir|0o700, "", "41777 0,0 7:8"))
	m.Add("fifo", node(vfs.ModeFIFO|0o600, "", "100644 0,0 7:8"))
	link := node(vfs.ModeSymlink|0o777, "", "100644 0,0 7:8")
	link.Target = "device"
	m.Add("real", link)
	m.Add("corrupt", node(raw, "x", "what"))
	m.Add("long", node(raw, "x", "100644 0,0 7:8"+strings.Repeat(" ", 242)))
	secret := node(raw, "x", "")
	secret.Xattrs = map[string][]byte{Attr: nil}
	m.Add("secret", secret)
	fake := New(m)
	want := map[string]vfs.Info{
		"plain": {Mode: raw}, "device": {Mode: vfs.ModeChar | 0o660, RdevMajor: 5, RdevMinor: 1, UID: 7, GID: 8},
		"dir": {Mode: vfs.ModeDir | 0o1777, UID: 7, GID: 8}, "fifo": {Mode: vfs.ModeFIFO | 0o600},
		"real": {Mode: vfs.ModeSymlink | 0o777}, "corrupt": {Mode: raw}, "long": {Mode: raw}, "secret": {Mode: raw},
	}
	list, err := fake.ReadDir(vfs.Root(), nil)
	if err != nil || len(list) != len(want) {
		t.Fatal(list, err)
	}
	for _, in := range list {
		listed := in.Err
		in.Err = nil
		p := path(t, in.Name)
		if again, err := fake.Lstat(p); again != in || (err == nil) != (listed == nil) {
			t.Errorf("%s is %+v, %v, listed as %+v, %v", in.Name, again, err, in, listed)
		}
		w := want[in.Name]
		if in.Mode != w.Mode || in.UID != w.UID || in.GID != w.GID || in.RdevMajor != w.RdevMajor || in.RdevMinor != w.RdevMinor {
			t.Errorf("%s is %+v, want %+v", in.Name, in, w)
		}
		if c, ok := errors.AsType[*Corrupt](listed); ok != (in.Name == "corrupt") || ok && (c.Path != p || c.Value != "what") {
			t.Errorf("%s: %v", in.Name, listed)
		}
	}
	unread := map[string]int{}
	for _, e := range fake.Unread() {
		unread[e.Path.String()+" "+strconv.Itoa(e.Errno)]++
	}
	if want := map[string]int{"/long 34": 2, "/secret 13": 2}; !maps.Equal(unread, want) {
		t.Errorf("not read: %v, want %v", unread, want)
	}
	if again := fake.Unread(); len(again) > 0 {
		t.Errorf("once more: %v", again)
	}
}

// The target of a link is the content of its file.
func TestReadlink(t *testing.T) {
	const raw, stat = vfs.ModeRegular | 0o600, "120777 0,0 7:8"
	m := vfstest.NewMemory()
	m.Add("link", node(raw, "target", stat))
	m.Add("nul", node(raw, "target\x00more", stat))
	m.Add("empty", node(raw, "", stat))
	m.Add("long", node(raw, strings.Repeat("l", 5000), stat))
	m.Add("device", node(vfs.ModeChar|0o600, "", ""))
	real := node(vfs.ModeSymlink|0o777, "", "")
	real.Target = "link"
	m.Add("real", real)
	fake := New(m)
	for _, c := range []struct {
		p    vfs.Path
		want string
	}{
		{path(t, "link"), "target"}, {path(t, "nul"), "target"}, {path(t, "empty"), ""}, {path(t, "long"), strings.Repeat("l", 4095)},
		{path(t, "real"), "link"}, {path(t, "real").Follow(), "target"},
	} {
		if got, err := fake.Readlink(c.p); got != c.want || err != nil {
			t.Errorf("%s: %.20q, %v", c.p, got, err)
		}
	}
	for name, number := range map[string]int{"missing": vfs.ENOENT, "device": vfs.EINVAL} {
		if got, err := fake.Readlink(path(t, name)); errno(err) != number {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
