package rsyncproto

import (
	"bytes"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/acl"
	"rrserve/internal/rsyncproto/fakesuper"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// fakeNode is a regular file with what --fake-super has stored of it.
func fakeNode(data, stat, name string, value []byte) vfstest.Node {
	return attrNode(vfs.ModeRegular|0o600, data, attrs{fakesuper.Attr: []byte(stat)}, name, value)
}

// The list has what the attributes say, and disguised names their own.
func TestFakeSuperList(t *testing.T) {
	tree := vfstest.NewMemory()
	named := []byte("\x80\x00\x00\x00\x80\x00\x00\x00\x06\x00\x00\x00\x80\x00\x00\x00\xd2\x04\x00\x00\x06\x00\x00\x80")
	tree.Add("f", fakeNode("data", "104755 0,0 5:6", acl.FakeAccess, named)).Xattrs["user.rsync.trusted.t"] = []byte("T")
	tree.Add("l", fakeNode("target", "120777 0,0 0:0", "user.rsync.", []byte("N")))
	tree.Add("z", fakeNode("no device's", "20600 5,1 0:0", "", nil))
	data, messages, res := attrRun(t, tree, "rsync --server --sender -logDAXe.LsfxCIvu --numeric-ids --fake-super . f l z", nil)
	want := unhex(t, `
		04 01 66
		00 04 00   3b 00 ca 9a   ed 89 00 00   05   06
		00 14 06 01   84 d2 1a
		00 01   0a 01 74 72 75 73 74 65 64 2e 74 00 54
		80 80 01 6c
		00 06 00   ff a1 00 00   00   00   06 74 61 72 67 65 74
		00 01   0c 01 75 73 65 72 2e 72 73 79 6e 63 2e 00 4e
		80 98 01 7a
		00 00 00   80 21 00 00   05 01
		00 00   00 00`)
	if res.ExitStatus != 0 || res.Listed != 3 || len(messages) > 0 || !bytes.Contains(data, want) {
		t.Errorf("%+v, %q, sent\n% x, want in it\n% x", res, messages, data, want)
	}
}

// A list that says nothing costs an object its place, another one does not.
func TestFakeSuperMalformed(t *testing.T) {
	tree := vfstest.NewMemory()
	tree.Add("d", attrNode(vfs.ModeDir|0o755, "", nil, "", nil))
	tree.Add("d/gone", fakeNode("", "100644 0,0 0:0", acl.FakeAccess, []byte("short")))
	tree.Add("d/here", fakeNode("", "100644 0,0 0:0", acl.FakeAccess, nil))
	tree.Add("d/secret", attrNode(vfs.ModeRegular|0o600, "", nil, fakesuper.Attr, nil))
	data, messages, res := attrRun(t, tree, "rsync --server --sender -rAe.LsfxCIvu --fake-super . d", nil)
	want := []string{
		`1 "rsync: [sender] get_acl: sys_acl_get_file(/d/gone, ACL_TYPE_ACCESS): Invalid argument (22)\n"`,
		`1 "rsync: [sender] failed to read xattr user.rsync.%stat for \"/d/secret\": Permission denied (13)\n"`,
	}
	if res.ExitStatus != 23 || res.Listed != 3 || strings.Join(messages, "\n") != strings.Join(want, "\n") {
		t.Errorf("%+v\n%s\nwant\n%s", res, strings.Join(messages, "\n"), strings.Join(want, "\n"))
	}
	if bytes.Contains(data, []byte("gone")) || !bytes.Contains(data, []byte("here")) || !bytes.Contains(data, []byte("secret")) {
		t.Errorf("sent %q", data)
	}
}

// An attribute that says nothing ends the session, wherever it is met, unless
// nobody wants to know.
func TestFakeSuperCorrupt(t *testing.T) {
	tree := vfstest.NewMemory()
	tree.Add("d", attrNode(vfs.ModeDir|0o755, "", nil, "", nil))
	tree.Add("d/a", fakeNode("", "100644 0,0 0:0", "", nil))
	tree.Add("d/b", fakeNode("", "what\x00?", "", nil))
	tree.Add("d/c", fakeNode("", "100644 0,0 0:0", "", nil))
	for command, status := range map[string]int{
		"-re.LsfxCIvu --fake-super . d": 11, "-re.iLsfxCIvu --fake-super . d": 11, "-e.LsfxCIvu --fake-super . d/b d/a": 11,
		"-re.LsfxCIvu . d": 0, "-e.LsfxCIvu --fake-super . d/a": 0,
	} {
		data, messages, res := attrRun(t, tree, "rsync --server --sender "+command, nil)
		told := strings.Contains(strings.Join(messages, ""), `Corrupt user.rsync.%stat xattr attached to \"/d/b\": \"what\"`)
		if res.ExitStatus != status || told != (status == 11) || status == 11 && bytes.Contains(data, []byte("c\x00")) {
			t.Errorf("%s: %+v, %q, sent %q", command, res, messages, data)
		}
	}
}
