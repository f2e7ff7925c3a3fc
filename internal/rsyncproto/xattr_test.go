package rsyncproto

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/acl"
	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/delta/deltatest"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

type attrs = map[string][]byte

// aclBlob is an ACL in the kernel's form, made of tag, permissions and id of
// each entry; -1 is no id.
func aclBlob(entries ...[3]int64) []byte {
	blob := []byte{2, 0, 0, 0}
	for _, e := range entries {
		blob = append(blob, byte(e[0]), 0, byte(e[1]), 0, byte(e[2]), byte(e[2]>>8), byte(e[2]>>16), byte(e[2]>>24))
	}
	return blob
}

// attrNode is a node with attributes: those of base, and name with value.
func attrNode(mode uint32, data string, base attrs, name string, value []byte) vfstest.Node {
	n := vfstest.Node{Info: vfs.Info{Mode: mode, Mtime: vfs.Time{Sec: 1_000_000_000}}, Data: []byte(data)}
	if n.Xattrs = maps.Clone(base); n.Xattrs == nil {
		n.Xattrs = attrs{}
	}
	if name != "" {
		n.Xattrs[name] = value
	}
	if n.Info.IsDir() {
		n.Info.Size = 4096
	}
	return n
}

// addAttributes adds the trees "ax" and "x2" that the recordings 11 were made
// over, in the order in which they were read.
func addAttributes(t *vfstest.Memory) {
	const dir, file = vfs.ModeDir | 0o755, vfs.ModeRegular | 0o644
	values := attrs{
		"user.small": []byte("abc"), "user.empty": {},
		"user.v32": []byte("01234567890123456789012345678901"),
		"user.v33": []byte("012345678901234567890123456789012"),
	}
	named := aclBlob([3]int64{1, 6, -1}, [3]int64{2, 6, 1}, [3]int64{2, 4, 60001}, [3]int64{4, 4, -1},
		[3]int64{8, 1, 2}, [3]int64{16, 7, -1}, [3]int64{32, 4, -1})
	second := attrs{"trusted.t": []byte("T"), "user.rsync.%stat": []byte("100644 0,0 1:1"), "user.rsync.lnx": []byte("q")}
	masked := aclBlob([3]int64{1, 6, -1}, [3]int64{4, 4, -1}, [3]int64{8, 7, 2}, [3]int64{16, 4, -1}, [3]int64{32, 4, -1})
	inherited := aclBlob([3]int64{1, 7, -1}, [3]int64{2, 7, 1}, [3]int64{4, 4, -1}, [3]int64{16, 7, -1}, [3]int64{32, 5, -1})
	capability := []byte("\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	t.Add("ax", attrNode(dir, "", nil, "", nil))
	t.Add("ax/named", attrNode(vfs.ModeRegular|0o674, "named", values, acl.Access, named))
	t.Add("ax/named2", attrNode(vfs.ModeRegular|0o674, "named2", second, acl.Access, named))
	t.Add("ax/maskgrp", attrNode(file, "maskgrp", attrs{"security.foo": []byte("S")}, acl.Access, masked))
	t.Add("ax/p", attrNode(vfs.ModeFIFO|0o644, "", nil, "", nil))
	link := attrNode(vfs.ModeSymlink|0o777, "", nil, "trusted.lt", []byte("L"))
	link.Target = "plain"
	t.Add("ax/l", link)
	t.Add("ax/e", attrNode(dir, "", nil, "user.dirx", []byte("D")))
	t.Add("ax/capf", attrNode(file, "capf", nil, "security.capability", capability))
	t.Add("ax/plain", attrNode(file, "plain", values, "", nil))
	t.Add("ax/d", attrNode(dir, "", nil, acl.Default, inherited))

	long := attrs{
		"user.a": bytes.Repeat([]byte("A"), 40), "user.b": []byte("small"),
		"user.c": bytes.Repeat([]byte("C"), 100), "user.d": bytes.Repeat([]byte("D"), 33),
	}
	t.Add("x2", attrNode(dir, "", nil, "user.dd", bytes.Repeat([]byte("Z"), 64)))
	t.Add("x2/b", attrNode(file, "2", long, "", nil))
	first := t.Add("x2/zlink", attrNode(file, "1", long, "", nil))
	t.Add("x2/c", attrNode(file, "3", long, "user.c", bytes.Repeat([]byte("X"), 200)))
	last := t.Add("x2/a", attrNode(file, "1", long, "", nil))
	for _, n := range []*vfstest.Node{first, last} {
		n.Info.Nlink, n.Info.Ino = 2, 78
	}
}

// attrTree is addAttributes alone.
func attrTree() *vfstest.Memory {
	t := vfstest.NewMemory()
	addAttributes(t)
	return t
}

// attrRun is a session of protocol 31 in which the client sends these bytes
// after its handshake, which names md5.
func attrRun(t *testing.T, fs vfs.FS, command string, client []byte) (data []byte, messages []string, res Result) {
	t.Helper()
	var in, out bytes.Buffer
	w := wire.NewWriter(&in)
	w.Int(31)
	w.Vstring([]byte("md5"))
	w.Frame()
	w.Int(0)
	w.Write(client)
	for range 5 {
		w.Ndx(31, wire.NdxDone)
	}
	w.Flush()
	res = Serve(context.Background(), Config{
		Command: command, FS: fs, Stdin: &in, Stdout: &out, Stderr: &bytes.Buffer{}, Abort: func() {}, Seed: 1,
	})
	plain := handshakeLen(t, out.Bytes(), 1)
	data, messages, _ = frames(t, out.Bytes(), plain, -1)
	return data[plain:], messages, res
}

// The list of a client of 3.0.9, to its end: ids have no names inline, the
// lists behind it have those of ACLs.
func TestAttributesProtocol30(t *testing.T) {
	want := unhex(t, `
		01 01 2e 00 00 10 3b 00 ca 9a ed 41 00 00 00 00 00 00 00 00 00 00 98 05 6e 61 6d 65 64 00 05 00
		bc 81 00 00 00 12 04 03 01 1a c0 61 ea 12 02 04 00 04 0b 00 75 73 65 72 2e 65 6d 70 74 79 00 0b
		03 75 73 65 72 2e 73 6d 61 6c 6c 00 61 62 63 09 20 75 73 65 72 2e 76 33 32 00 30 31 32 33 34 35
		36 37 38 39 30 31 32 33 34 35 36 37 38 39 30 31 32 33 34 35 36 37 38 39 30 31 09 21 75 73 65 72
		2e 76 33 33 00 cf 09 b5 cb 76 9d 06 8e 70 d2 48 ac 7e 01 3a c9 ba 05 01 32 00 06 00 02 00 02 0a
		01 74 72 75 73 74 65 64 2e 74 00 54 0f 01 75 73 65 72 2e 72 73 79 6e 63 2e 6c 6e 78 00 71 98 07
		6d 61 73 6b 67 72 70 00 07 00 a4 81 00 00 00 10 01 02 1c 00 01 0d 01 73 65 63 75 72 69 74 79 2e
		66 6f 6f 00 53 9c 01 01 70 00 00 00 a4 11 00 00 00 01 01 98 01 6c 00 05 00 ff a1 00 00 05 70 6c
		61 69 6e 00 01 0b 01 74 72 75 73 74 65 64 2e 6c 74 00 4c 98 01 65 00 00 10 ed 41 00 00 01 01 00
		01 0a 01 75 73 65 72 2e 64 69 72 78 00 44 98 04 63 61 70 66 00 04 00 a4 81 00 00 01 00 01 14 14
		73 65 63 75 72 69 74 79 2e 63 61 70 61 62 69 6c 69 74 79 00 01 00 00 02 00 20 00 00 00 00 00 00
		00 00 00 00 00 00 00 00 9a 05 70 6c 61 69 6e 00 05 00 01 02 98 01 64 00 00 10 ed 41 00 00 01 00
		1f 07 04 07 05 01 01 1e 01 00 01 06 64 61 65 6d 6f 6e 00 02 03 62 69 6e 00`)
	stream, _, res := replay(transcript{
		exec:   "rsync --server --sender -logDtpAXre.Lsf . ax/",
		client: unhex(t, "1e 00 00 00   04 00 00 07 00 00 00 00   04 00 00 07 00 00 00 00"),
		seed:   1,
	})
	if res.ExitStatus != 0 {
		t.Fatalf("%+v", res)
	}
	data, _, _ := frames(t, stream, handshakeLen(t, stream, 1), -1)
	if data = data[handshakeLen(t, stream, 1):]; !bytes.HasPrefix(data, want) {
		t.Errorf("list\n% x, want\n% x", data, want)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lcg is n bytes of the generator of the recordings.
func lcg(n int) []byte {
	b := make([]byte, n)
	for i, x := 0, uint32(1); i < n; i++ {
		x = (x*1103515245 + 12345) & 0x7fffffff
		b[i] = byte(x >> 16)
	}
	return b
}

// An item with values and data, as recorded from 3.5.0: the values stand
// between the flags and the sum head.
func TestXattrInTransfer(t *testing.T) {
	base := lcg(5000)
	file := string(base[:1400]) + "INSERTED-TEXT" + string(base[1400:3500]) + string(base[4200:])
	tree := vfstest.NewMemory()
	tree.Add("f", attrNode(vfs.ModeRegular|0o644, file, attrs{"user.small": []byte("tiny")}, "user.big", bytes.Repeat([]byte("B"), 100)))
	sums := deltatest.Request(checksum.Config{Algorithm: checksum.MD5, Seed: 1, SeedFirst: true}, base, 700, 2)
	client := append(unhex(t, "01  0c 81  01 00"), sums...)
	data, messages, res := attrRun(t, tree, "rsync --server --sender -tXe.LsfxCIvu --checksum-seed=1 . /f", client)
	if res.ExitStatus != 0 || len(messages) > 0 {
		t.Errorf("%+v, %q", res, messages)
	}
	want := unhex(t, `
		01
		0c 81
		01 64`+strings.Repeat(" 42", 100)+`
		00
		08 00 00 00 bc 02 00 00 02 00 00 00 64 00 00 00
		ff ff ff ff
		fe ff ff ff
		0d 00 00 00 49 4e 53 45 52 54 45 44 2d 54 45 58 54
		fd ff ff ff
		fc ff ff ff
		fb ff ff ff
		f9 ff ff ff
		f8 ff ff ff
		00 00 00 00`)
	if !bytes.Contains(data, want) {
		t.Errorf("sent\n% x, want in it\n% x", data, want)
	}
}

// An answer has what was asked for, in ascending order and once.
func TestXattrAnswers(t *testing.T) {
	tree := vfstest.NewMemory()
	node := attrNode(vfs.ModeRegular|0o644, "", nil, "", nil)
	for i := range 5 { // number 3 is short
		node.Xattrs[fmt.Sprintf("user.%d", i+1)] = bytes.Repeat([]byte{'0' + byte(i+1)}, []int{33, 60000, 32, 34, 40}[i])
	}
	tree.Add("f", node)
	one := "01 21" + strings.Repeat(" 31", 33)
	four := " 22" + strings.Repeat(" 34", 34)
	for _, c := range []struct {
		name, flags, request, answer string
	}{
		{"none", "00 01", "00", "00"},
		{"first", "00 01", "01 00", one + "00"},
		{"first and fourth", "00 01", "01 03 00", one + "03" + four + "00"},
		{"backwards", "00 01", "04 f0 fd ff ff ff 00", one + "03" + four + "00"},
		{"repeated", "00 01", "04 f0 fd ff ff ff 03 00", one + "03" + four + "00"},
		{"long", "00 01", "02 00", "02 c0 60 ea" + strings.Repeat(" 32", 60000) + "00"},
		{"further link", "00 51 01 78", "00", "00"},
	} {
		item := "01 " + c.flags
		data, messages, res := attrRun(t, tree, "rsync --server --sender -Xe.LsfxCIvu . f", unhex(t, item+c.request))
		if res.ExitStatus != 0 || len(messages) > 0 || !bytes.Contains(data, unhex(t, item+c.answer+"00 00 00")) {
			t.Errorf("%s: %+v, %q, % .300x", c.name, res, messages, data)
		}
	}
	// In a dry run nothing is asked for.
	data, _, res := attrRun(t, tree, "rsync --server --sender -nXe.LsfxCIvu . f", unhex(t, "01 00 01"))
	if res.ExitStatus != 0 || !bytes.Contains(data, unhex(t, "01 00 01 00 00 00")) {
		t.Errorf("dry run: %+v, % .300x", res, data)
	}
}

// fading is a tree whose attributes are others from the second opening on.
type fading struct {
	vfs.FS
	later  vfs.FS
	opened bool
}

func (f *fading) Xattrs(p vfs.Path) (*vfs.Xattrs, error) {
	if f.opened {
		return f.later.Xattrs(p)
	}
	f.opened = true
	return f.FS.Xattrs(p)
}

// A value is sent as it is when it is asked for; what is gone is sent as empty.
func TestXattrChanged(t *testing.T) {
	tree := func(a attrs) *vfstest.Memory {
		m := vfstest.NewMemory()
		if a != nil {
			m.Add("f", attrNode(vfs.ModeRegular|0o644, "", a, "", nil))
		}
		return m
	}
	long := bytes.Repeat([]byte("v"), 40)
	listed := attrs{"user.a": long, "user.b": long, "user.c": long}
	for _, c := range []struct {
		name     string
		later    attrs
		answer   string
		status   int
		messages int
	}{
		{"shorter", attrs{"user.a": []byte("x"), "user.b": {}, "user.c": long}, "01 01 78 01 00 00", 0, 0},
		{"gone", attrs{"user.b": []byte("x")}, "01 00 01 01 78 00", 23, 2},
		{"unreadable", attrs{"user.a": nil, "user.b": []byte("x")}, "01 00 01 01 78 00", 23, 2},
		{"no file", nil, "01 00 01 00 00", 23, 4},
	} {
		fs := &fading{FS: tree(listed), later: tree(c.later)}
		item := "01 00 01"
		data, messages, res := attrRun(t, fs, "rsync --server --sender -Xe.LsfxCIvu . f", unhex(t, item+"01 01 00"))
		if res.ExitStatus != c.status || len(messages) != c.messages || !bytes.Contains(data, unhex(t, item+c.answer+"00 00 00")) {
			t.Errorf("%s: %+v, %q, % .300x", c.name, res, messages, data)
		}
	}
}

// What has an attribute or ACL that cannot be read is not listed; the error is
// the reference's.
func TestUnreadableAttributes(t *testing.T) {
	tree := vfstest.NewMemory()
	tree.Add("d", attrNode(vfs.ModeDir|0o755, "", nil, "", nil))
	tree.Add("d/secret", attrNode(vfs.ModeRegular|0o600, "", nil, "user.x", nil))
	tree.Add("d/acl", attrNode(vfs.ModeRegular|0o600, "", nil, acl.Access, []byte("no ACL")))
	tree.Add("d/default", attrNode(vfs.ModeDir|0o700, "", nil, acl.Default, nil))
	tree.Add("d/default/inside", attrNode(vfs.ModeRegular|0o644, "", nil, "", nil))
	tree.Add("d/ok", attrNode(vfs.ModeRegular|0o644, "", nil, "", nil))
	data, messages, res := attrRun(t, tree, "rsync --server --sender -rAXe.LsfxCIvu . d", nil)
	want := []string{
		`1 "rsync: [sender] get_xattr_data: lgetxattr(\"/d/secret\",\"user.x\",0) failed: Permission denied (13)\n"`,
		`1 "rsync: [sender] get_acl: sys_acl_get_file(/d/acl, ACL_TYPE_ACCESS): Invalid argument (22)\n"`,
		`1 "rsync: [sender] get_acl: sys_acl_get_file(/d/default, ACL_TYPE_DEFAULT): Permission denied (13)\n"`,
	}
	if res.ExitStatus != 23 || res.Listed != 2 || strings.Join(messages, "\n") != strings.Join(want, "\n") {
		t.Errorf("%+v\n%s\nwant\n%s", res, strings.Join(messages, "\n"), strings.Join(want, "\n"))
	}
	if bytes.Contains(data, []byte("secret")) || bytes.Contains(data, []byte("inside")) || !bytes.Contains(data, []byte("ok")) {
		t.Errorf("sent %q", data)
	}
}

// A system without attributes says so instead of sending none.
func TestNoXattrs(t *testing.T) {
	for option, name := range map[string]string{"-rA": "-A", "-rXX": "-X", "-rAX": "-A", "-r --fake-super": "--fake-super", "-r": ""} {
		var out, stderr bytes.Buffer
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender " + option + " . ax/", FS: attrTree(), NoXattrs: true,
			Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &stderr, Abort: func() {},
		})
		want := "rsync: on remote machine: " + name + ": refused: extended attributes are not read on the server's system [E-OPTION]\n"
		if refused := res.ExitStatus == 1 && out.Len() == 0 && strings.HasPrefix(stderr.String(), want); refused != (name != "") {
			t.Errorf("%s: %+v, %q", option, res, stderr.String())
		}
	}
}

// Protocols without fields for attributes end as the reference ends them.
func TestAttributesOldProtocol(t *testing.T) {
	for option, text := range map[string]string{
		"-rA":  "--acls requires protocol 30 or higher (negotiated 29).\n",
		"-rX":  "--xattrs requires protocol 30 or higher (negotiated 29).\n",
		"-rXA": "--acls requires protocol 30 or higher (negotiated 29).\n",
	} {
		_, stderr, res := replay(transcript{exec: "rsync --server --sender " + option + " . ax/", client: unhex(t, "1d 00 00 00"), seed: 1})
		if res.ExitStatus != 2 || stderr != text {
			t.Errorf("%s: %+v, %q", option, res, stderr)
		}
	}
}

// A request for what was not offered ends the session.
func TestXattrBadRequests(t *testing.T) {
	for name, request := range map[string]string{
		"short value":   "01 00",
		"beyond":        "05 00",
		"before":        "f0 ff ff ff ff 00",
		"past the end":  "04 01 00",
		"wrapped":       "04 f0 ff ff ff 7f f0 ff ff ff 7f 02 00",
		"not a number":  "ff",
		"other entry's": "02 00",
	} {
		_, _, res := attrRun(t, attrTree(), "rsync --server --sender -lXe.LsfxCIvu . ax/plain", unhex(t, "01 00 01"+request))
		if want := 2; res.ExitStatus != want && name != "not a number" || res.Err == nil {
			t.Errorf("%s: %+v, want status %d", name, res, want)
		}
	}
}
