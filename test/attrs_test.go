package test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// attrCommands copy a tree of ACLs and extended attributes.
var attrCommands = []command{
	{name: "acls", line: "-aiA rr: DST/"},
	{name: "acls onto copy", dst: copied, line: "-aiA rr: DST/"},
	{name: "acls onto edited", dst: edited, line: "-aiA rr: DST/"},
	{name: "acls, numeric ids", line: "-aiA --numeric-ids rr: DST/"},
	{name: "acls, whole list", line: "-aiA --no-inc-recursive rr: DST/"},
	{name: "acls, whole list, numeric ids", line: "-aiA --no-i-r --numeric-ids rr: DST/"},
	{name: "acls without owners", line: "-rltAi rr: DST/", opt: anyOrder},
	{name: "acls, protocol 31", dst: edited, line: "-aiA --protocol=31 rr: DST/"},
	{name: "acls, protocol 30", dst: edited, line: "-aiA --protocol=30 rr: DST/"},
	{name: "acls, no devices and specials", line: "-rltAi rr:types DST/", opt: anyOrder},
	{name: "acls, dry run", dst: edited, line: "-ainA rr: DST/"},
	{name: "xattrs", line: "-aiX rr: DST/"},
	{name: "xattrs onto copy", dst: copied, line: "-aiX rr: DST/"},
	{name: "xattrs onto edited", dst: edited, line: "-aiX rr: DST/"},
	{name: "xattrs, whole list", dst: edited, line: "-aiX --no-inc-recursive rr: DST/"},
	{name: "xattrs, protocol 31", dst: edited, line: "-aiX --protocol=31 rr: DST/"},
	{name: "xattrs, protocol 30", dst: edited, line: "-aiX --protocol=30 rr: DST/"},
	{name: "xattrs, dry run", dst: edited, line: "-ainX rr: DST/"},
	{name: "xattrs, checksums", dst: edited, line: "-aicX rr: DST/"},
	{name: "xattrs, compressed", dst: edited, line: "-aizX --no-W rr: DST/"},
	{name: "xattrs, itself alone", line: "-X rr:sizes/f33 DST/"},
	{name: "xattrs, no links", line: "-rtXi rr:types DST/", opt: anyOrder},
	{name: "acls, copied links", line: "-rtALi rr:types/link rr:types/todir DST/"},
	{name: "xattrs, relative", line: "-aXRi rr:./deep/er/file rr:deep/dir2 DST/"},
	{name: "xattrs, files from", line: "-aXAi --files-from=AUX/attrs.lst rr: DST/"},
	{name: "xattrs, overlapping", line: "-aXAi rr:deep/ rr:deep rr:sizes/ DST/"},
	{name: "xattrs twice", line: "-aiXX rr: DST/"},
	{name: "xattrs twice onto edited", dst: edited, line: "-aiXX rr: DST/"},
	{name: "xattrs, link dest", line: "-aXAi --link-dest=REF rr: DST/"},
	{name: "xattrs, missing argument", dst: copied, line: "-aXAi --delete-missing-args rr:gone rr:sizes DST/"},
	{name: "xattrs, rule", line: "-aiX '-f-x user.a' rr: DST/"},
	{name: "xattrs, rules", line: "-aiX '-f+x user.*' '-f-x *' rr: DST/"},
	{name: "xattrs, rules and percent", line: "-aiXX '-f-x user.b*' '-f-x system.*' rr: DST/"},
	{name: "xattrs, rule file", line: "-aiX '-f:_.rules' rr:ruled DST/"},
	{name: "both", line: "-aiAX rr: DST/"},
	{name: "both onto copy", dst: copied, line: "-aiHAX rr: DST/"},
	{name: "both onto edited", dst: edited, line: "-aiAX rr: DST/"},
	{name: "both, hard links", line: "-aiHAX rr: DST/"},
	{name: "both, hard links onto edited", dst: edited, line: "-aiHAX --delete rr: DST/", opt: anyOrder},
	{name: "both, hard links, protocol 30", line: "-aiHAX --protocol=30 rr: DST/"},
	{name: "both, hard links, whole list", line: "-aiHAX --no-i-r rr: DST/"},
	{name: "both, in place", dst: edited, line: "-aiAX --inplace --no-W rr: DST/"},
	{name: "both, list", line: "-rAX --list-only rr:"},
}

// TestAttributes compares ACLs and attributes with those the reference sends.
func TestAttributes(t *testing.T) {
	f := newAttrFixture(t)
	for _, c := range attrCommands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, defaultClient)
		})
	}
}

// TestAttributesOldClient is the same with a client of protocol 31, for the
// lines that have both.
func TestAttributesOldClient(t *testing.T) {
	client := oldClient(t)
	f := newAttrFixture(t)
	for _, c := range attrCommands {
		if !strings.HasPrefix(c.name, "both") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, client)
		})
	}
}

// TestAttributesUnprivileged is a server that may not read all it sees.
func TestAttributesUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("root is needed to serve as somebody else")
	}
	f := newAttrFixture(t, rrtest.AsUser(65534))
	for _, line := range []string{"-aiA rr: DST/", "-aiX rr: DST/", "-aiHAXX rr: DST/", "-aiAX --no-i-r rr: DST/"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			f.compare(t, command{line: line}, defaultClient)
		})
	}
}

// TestAttributesOldProtocol holds protocols without fields for attributes to be
// refused as the reference refuses them.
func TestAttributesOldProtocol(t *testing.T) {
	s := newAttrFixture(t).servers[1]
	for option, text := range map[string]string{
		"-aA": "--acls requires protocol 30 or higher (negotiated 29).",
		"-aX": "--xattrs requires protocol 30 or higher (negotiated 29).",
	} {
		res := rrtest.Run(t, s, rrtest.TempDir(t)+"/", option, "--protocol=29", "rr:sizes")
		if res.Code != 2 || !strings.Contains(res.Stderr, text+"\n") {
			t.Errorf("%v", res)
		}
	}
}

// TestAttributesOfReferents copies what links lead to. The reference sends the
// ACL of the referent and the attributes of the link; here both are those of
// the referent.
func TestAttributesOfReferents(t *testing.T) {
	f := newAttrFixture(t)
	dst := rrtest.TempDir(t)
	if res := rrtest.Run(t, f.servers[1], dst+"/", "-rtpXAL", "rr:types/link", "rr:types/todir"); res.Code != 0 {
		t.Fatal(res)
	}
	for from, to := range map[string]string{"types/file": "link", "types/dir": "todir"} {
		for _, attr := range []string{"user.a", "security.small"} {
			want, got := make([]byte, 1000), make([]byte, 1000)
			n, err := unix.Lgetxattr(f.src+"/"+from, attr, want)
			m, err2 := unix.Lgetxattr(dst+"/"+to, attr, got)
			if err != nil || err2 != nil || string(want[:n]) != string(got[:m]) {
				t.Errorf("%s: %s is %q, %v, want %q, %v", to, attr, got[:max(m, 0)], err2, want[:max(n, 0)], err)
			}
		}
	}
}

// newAttrFixture is newFixture with other trees.
func newAttrFixture(t *testing.T, opts ...rrtest.Option) *fixture {
	t.Helper()
	dir := rrtest.TempDir(t)
	f := &fixture{src: dir + "/src", copy: dir + "/copy", edited: dir + "/edited", aux: dir + "/aux"}
	attrTree(t, f.src)
	duplicate(t, f.src, f.copy)
	duplicate(t, f.src, f.edited)
	editAttrs(t, f.edited)
	e := editor{t, f.aux}
	e.check(os.Mkdir(f.aux, 0o755))
	e.write("attrs.lst", "sizes/f33\ndeep/er\nacl/inherit/\nnot/there\n", day(1))
	f.servers = [2]*rrtest.Server{rrtest.Sshd(t, f.src, opts...), rrtest.UnderTest(t, f.src, opts...)}
	return f
}

// attrTree builds the source.
func attrTree(t *testing.T, dir string) {
	t.Helper()
	tr := rrtest.NewTree(t, dir)
	attrSizes(tr)
	attrACLs(tr)
	for i := range 40 {
		name := fmt.Sprintf("same/%02d", i)
		tr.File(name, name)
		tr.Xattr(name, "user.a", "small")
		tr.Xattr(name, "user.b", strings.Repeat("B", 100))
		if i%2 == 0 {
			tr.Xattr(name, "system.posix_acl_access", posixACL(6, 4, 4, 4, user(1, 6)))
		}
	}
	for _, name := range []string{"deep/er/file", "deep/er/still/file", "deep/dir2/file"} {
		tr.File(name, name)
		tr.Xattr(name, "user.file", name)
	}
	for _, name := range []string{".", "deep", "deep/er", "deep/dir2"} {
		tr.Xattr(name, "user.long", "of the directory "+strings.Repeat(name, 40))
	}
	tr.File("odd/file", "odd names")
	for _, name := range []string{"user.with space", "user.new\nline", "user.\xff\xfe", "user.\u00fc", "user.rsync.lnx", "user.rsync.%stat", "user.rsync.%x", "user." + strings.Repeat("n", 249)} {
		tr.Xattr("odd/file", name, "value of\x00it")
	}
	tr.File("many/file", "many attributes")
	for i := range 30 {
		tr.Xattr("many/file", fmt.Sprintf("user.n%d", i), strings.Repeat("m", 20+i))
	}
	tr.File("hard/a", "linked")
	tr.Link("hard/b", "hard/a")
	tr.Link("hard/inner/c", "hard/a")
	tr.Xattr("hard/a", "user.long", strings.Repeat("H", 200))
	tr.Xattr("hard/a", "system.posix_acl_access", posixACL(6, 4, 6, 4, user(60001, 6)))
	tr.File("ruled/.rules", "-x user.b*\n")
	tr.File("ruled/file", "has rules")
	tr.Xattr("ruled/file", "user.a", "a")
	tr.Xattr("ruled/file", "user.b1", "b1")
	tr.File("private/secret", "not for everybody")
	tr.Xattr("private/secret", "user.secret", "value")
	tr.Chmod("private/secret", 0o600)
	attrTypes(tr)
	tr.Done()
}

// attrSizes has values of the sizes at which something changes, as far as the
// file system takes them.
func attrSizes(tr *rrtest.Tree) {
	for _, n := range []int{0, 1, 10, 31, 32, 33, 127, 128, 1000, 3000, 5000, 60000} {
		name := fmt.Sprintf("sizes/f%d", n)
		tr.File(name, name)
		err := unix.Lsetxattr(tr.Path(name), "user.v", []byte(rrtest.Noise(uint64(n), n)), 0)
		if err != nil && (n <= 3000 || !errors.Is(err, unix.ENOSPC)) {
			tr.T.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func attrACLs(tr *rrtest.Tree) {
	for name, value := range map[string]string{
		"acl/named":   posixACL(6, 4, 7, 4, user(1, 6), user(60001, 4), group(2, 1)),
		"acl/same":    posixACL(6, 4, 7, 4, user(1, 6), user(60001, 4), group(2, 1)),
		"acl/other":   posixACL(6, 4, 7, 4, user(1, 4), user(60001, 4), group(2, 1)),
		"acl/mask":    posixACL(6, 7, 4, 4, group(2, 7)),
		"acl/groups":  posixACL(6, 4, 4, 0, group(1, 7), group(2, 0), group(3_000_000_000, 4)),
		"acl/zero":    posixACL(6, 0, 0, 0, user(0, 7), group(0, 7)),
		"acl/nomask":  posixACL(7, 5, 5, 5),
		"acl/maskall": posixACL(0, 0, 7, 0, user(4_000_000_000, 7)),
	} {
		tr.File(name, name)
		tr.Xattr(name, "system.posix_acl_access", value)
	}
	for name, value := range map[string]string{
		"acl/dir":     posixACL(7, 5, 5, 5, user(1, 7)),
		"acl/inherit": posixACL(7, 4, 7, 5, user(1, 7), group(60002, 5)),
		"acl/plain":   posixACL(7, 7, 7, 0),
	} {
		tr.File(name+"/file", name)
		tr.Xattr(name, "system.posix_acl_default", value)
	}
	tr.Xattr("acl/dir", "system.posix_acl_access", posixACL(7, 5, 7, 5, user(2, 7)))
	tr.Chmod("acl/mask", 0o2640)
}

// attrTypes has an object of each type.
func attrTypes(tr *rrtest.Tree) {
	tr.File("types/file", "file")
	tr.Mkdir("types/dir")
	tr.Symlink("types/link", "file")
	tr.Symlink("types/todir", "dir")
	tr.Node("types/fifo", unix.S_IFIFO|0o644, 0, 0)
	tr.Node("types/socket", unix.S_IFSOCK|0o644, 0, 0)
	tr.Xattr("types/fifo", "system.posix_acl_access", posixACL(6, 4, 6, 4, user(1, 6)))
	tr.Xattr("types/file", "user.a", "of what a link leads to")
	tr.Xattr("types/dir", "user.a", strings.Repeat("of a directory ", 4))
	if os.Getuid() != 0 {
		return
	}
	tr.Node("types/device", unix.S_IFCHR|0o644, 1, 3)
	tr.Xattr("types/device", "system.posix_acl_access", posixACL(6, 4, 6, 4, group(2, 6)))
	for _, name := range []string{"file", "dir", "link", "fifo", "socket", "device"} {
		tr.Xattr("types/"+name, "security.small", "of "+name)
		tr.Xattr("types/"+name, "security.long", strings.Repeat("of "+name, 20))
	}
	tr.Xattr("types/file", "security.capability", "\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	tr.Xattr("types/link", "security.note", "on a link")
}

// editAttrs changes attributes of a copy, and little else.
func editAttrs(t *testing.T, dir string) {
	t.Helper()
	e := editor{t, dir}
	set := func(name, attr, value string) {
		e.check(unix.Lsetxattr(dir+"/"+name, attr, []byte(value), 0))
	}
	remove := func(name, attr string) { e.check(unix.Lremovexattr(dir+"/"+name, attr)) }
	set("sizes/f10", "user.v", "0123456789")
	set("sizes/f33", "user.v", strings.Repeat("x", 33))
	set("sizes/f1000", "user.v", strings.Repeat("x", 999))
	remove("sizes/f32", "user.v")
	set("sizes/f128", "user.extra", strings.Repeat("too many", 20))
	for i := range 10 {
		set(fmt.Sprintf("same/%02d", i*3), "user.b", strings.Repeat("C", 100))
	}
	set(".", "user.long", strings.Repeat("old", 30))
	set("deep/er", "user.long", "short")
	remove("deep/dir2", "user.long")
	remove("many/file", "user.n3")
	set("many/file", "user.n29", strings.Repeat("M", 49))
	e.write("odd/file", "edited", day(3))
	set("acl/named", "system.posix_acl_access", posixACL(6, 4, 7, 4, user(1, 7)))
	remove("acl/other", "system.posix_acl_access")
	remove("acl/inherit", "system.posix_acl_default")
	set("acl/plain", "system.posix_acl_default", posixACL(7, 7, 7, 7, user(1, 7)))
	set("deep", "system.posix_acl_default", posixACL(7, 7, 7, 7, user(1, 7)))
	set("hard/a", "user.long", strings.Repeat("h", 200))
	e.remove("hard/b")
	e.remove("same/05")
	e.write("same/extra", "too many", day(4))
	if os.Getuid() == 0 {
		set("types/link", "security.long", strings.Repeat("x", 70))
		remove("types/fifo", "security.small")
	}
	e.settle()
}

// aclEntry is a named entry of an ACL.
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

func user(id uint32, perm uint16) aclEntry  { return aclEntry{0x02, perm, id} }
func group(id uint32, perm uint16) aclEntry { return aclEntry{0x08, perm, id} }

// posixACL is an ACL in the kernel's form (linux/posix_acl_xattr.h); users come
// before groups in named.
func posixACL(owner, owning, mask, other uint16, named ...aclEntry) string {
	const noID = 0xffffffff
	var users, groups []aclEntry
	for _, n := range named {
		if n.tag == 0x02 {
			users = append(users, n)
		} else {
			groups = append(groups, n)
		}
	}
	list := append([]aclEntry{{0x01, owner, noID}}, users...)
	list = append(append(list, aclEntry{0x04, owning, noID}), groups...)
	list = append(list, aclEntry{0x10, mask, noID}, aclEntry{0x20, other, noID})
	blob := []byte{2, 0, 0, 0}
	for _, e := range list {
		blob = binary.LittleEndian.AppendUint16(blob, e.tag)
		blob = binary.LittleEndian.AppendUint16(blob, e.perm)
		blob = binary.LittleEndian.AppendUint32(blob, e.id)
	}
	return string(blob)
}
