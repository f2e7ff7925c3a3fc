package test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// fakeCommands copy a tree that was written with --fake-super.
var fakeCommands = []command{
	{name: "archive", line: "-ai FAKE rr: DST/"},
	{name: "all", line: "-aiHAX FAKE rr: DST/"},
	{name: "all onto copy", dst: copied, line: "-aiHAX FAKE rr: DST/"},
	{name: "all onto edited", dst: edited, line: "-aiHAX --delete FAKE rr: DST/", opt: anyOrder},
	{name: "whole list", line: "-aiHAX --no-i-r FAKE rr: DST/"},
	{name: "numeric ids", line: "-aiHAX --numeric-ids FAKE rr: DST/"},
	{name: "acls", line: "-aiA FAKE rr: DST/"},
	{name: "xattrs", line: "-aiX FAKE rr: DST/"},
	{name: "checksums", dst: edited, line: "-aicHAX FAKE rr: DST/"},
	{name: "compressed", dst: edited, line: "-aizXA --no-W FAKE rr: DST/"},
	{name: "link dest", line: "-aiHAX --link-dest=REF FAKE rr: DST/"},
	{name: "rule for disguised names", line: "-aiX '-f-x user.rsync.s*' FAKE rr: DST/"},
	{name: "rule for names", line: "-aiX '-f-x security.*' FAKE rr: DST/"},
	{name: "no devices", line: "-rltpgoi FAKE rr:types DST/", opt: anyOrder},
	{name: "specials", line: "-rltpgoi --specials FAKE rr:types DST/", opt: anyOrder},
	{name: "no links", line: "-rtpDi FAKE rr:types DST/", opt: anyOrder},
	{name: "one of each", line: "-aiX FAKE rr:types/link rr:types/fifo rr:types/device rr:types/dir DST/"},
	{name: "copied links", line: "-aiL FAKE rr:types DST/"},
	{name: "copied dir links", line: "-aik FAKE rr:types rr:types/todir DST/"},
	{name: "copied unsafe links", line: "-aiv --copy-unsafe-links --exclude=dirfile FAKE rr:fake rr:types DST/", opt: anyOrder},
	{name: "munged links", line: "-ai -M--munge-links FAKE rr:fake DST/"},
	{name: "relative", line: "-aiRX FAKE rr:./types/link rr:./deep/er/file DST/"},
	{name: "files from", line: "-aXAi --files-from=AUX/attrs.lst FAKE rr: DST/"},
	{name: "listing", line: "-rl --list-only FAKE rr:"},
	{name: "listing in depth 1", line: "--list-only FAKE rr:types/"},
	{name: "dry run", dst: edited, line: "-ainHAX FAKE rr: DST/"},
	{name: "not asked for", line: "-aiX rr:types rr:fake DST/"},
	{name: "taken back", line: "-aiX FAKE -M--no-super rr:types DST/"},
	{name: "taken back by super", line: "-aiX FAKE -M--super rr:types DST/"},
	{name: "given again", line: "-aiX -M--super FAKE rr:types DST/"},
	{name: "protocol 31", dst: edited, line: "-aiHAX --protocol=31 FAKE rr: DST/"},
	{name: "protocol 30", dst: edited, line: "-aiHAX --protocol=30 FAKE rr: DST/"},
	{name: "protocol 29", line: "-aiH --protocol=29 FAKE rr: DST/"},
	{name: "protocol 28", line: "-aiH --protocol=28 FAKE rr: DST/"},
	{name: "protocol 27", line: "-aiH --protocol=27 FAKE rr: DST/"},
}

// TestFakeSuper compares what becomes of a tree that rsync has written without
// being root.
func TestFakeSuper(t *testing.T) {
	f := newFakeFixture(t)
	for _, c := range fakeCommands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, fakeCommand(c), defaultClient)
		})
	}
}

// TestFakeSuperOldClient is the same with a client of protocol 31.
func TestFakeSuperOldClient(t *testing.T) {
	client := oldClient(t)
	f := newFakeFixture(t)
	for _, c := range fakeCommands {
		if !strings.HasPrefix(c.name, "all") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, fakeCommand(c), client)
		})
	}
}

// TestFakeSuperUnprivileged is a server that may not read all attributes.
func TestFakeSuperUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("root is needed to serve as somebody else")
	}
	f := newFakeFixture(t, rrtest.AsUser(65534))
	for _, name := range []string{"types/link", "types/fifo", "sizes/f33", "private/secret", "deep/er"} {
		check(t, os.Chmod(f.src+"/"+name, 0))
	}
	// Of several attributes, the one that happens to be read first is named.
	check(t, unix.Removexattr(f.src+"/types/fifo", "user.rsync.security.small"))
	check(t, unix.Removexattr(f.src+"/types/link", "user.rsync.security.small"))
	check(t, unix.Removexattr(f.src+"/types/link", "user.rsync.security.note"))
	for _, line := range []string{"-ai FAKE rr: DST/", "-aiHAX FAKE rr: DST/", "-aiA --no-i-r FAKE rr: DST/", "-ai --protocol=29 FAKE rr: DST/"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			f.compare(t, fakeCommand(command{line: line}), defaultClient)
		})
	}
}

// TestFakeSuperCorrupt meets an attribute that says nothing. The reference ends
// with 11 and the same words, but does not tell the client the number.
func TestFakeSuperCorrupt(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir)
	tr.File("dir/a", "fine")
	tr.File("dir/b", "not fine")
	tr.Xattr("dir/b", "user.rsync.%stat", "100644 0,0 5")
	tr.File("last/c", "fine")
	tr.Done()
	s := rrtest.UnderTest(t, dir)
	const text = "Corrupt user.rsync.%stat xattr attached to \"/dir/b\": \"100644 0,0 5\"\n"
	for _, line := range []string{"-ai rr:dir/b", "-ai --no-i-r rr:last rr:dir", "-aiX --no-i-r --protocol=31 rr:", "-ai rr:", "-aiX --protocol=31 rr:"} {
		res := rrtest.Run(t, s, rrtest.TempDir(t)+"/", append([]string{"-M--fake-super"}, strings.Fields(line)...)...)
		// Once it has two processes, one of the client's may find the
		// connection closed before it is told by the other.
		if res.Code == 0 || res.Code != 11 && !strings.HasSuffix(line, " rr:") || !strings.Contains(res.Stderr, text) {
			t.Errorf("%s: %v", line, res)
		}
	}
	if res := rrtest.Run(t, s, rrtest.TempDir(t)+"/", "-a", "rr:"); res.Code != 0 {
		t.Errorf("without --fake-super: %v", res)
	}
}

// TestFakeSuperConflict holds -XX to be refused, as the reference does.
func TestFakeSuperConflict(t *testing.T) {
	s := rrtest.UnderTest(t, rrtest.TempDir(t))
	res := rrtest.Run(t, s, rrtest.TempDir(t)+"/", "-aXX", "-M--fake-super", "rr:")
	if res.Code == 0 || !strings.Contains(res.Stderr, "--fake-super: refused: it conflicts with -XX [E-OPTION]") {
		t.Error(res)
	}
}

func fakeCommand(c command) command {
	c.line = strings.Replace(c.line, "FAKE", "-M--fake-super", 1)
	return c
}

// newFakeFixture is newAttrFixture, whose source the reference has then copied
// with --fake-super; the copy of it is as it was before.
func newFakeFixture(t *testing.T, opts ...rrtest.Option) *fixture {
	t.Helper()
	dir := rrtest.TempDir(t)
	f := &fixture{src: dir + "/src", copy: dir + "/copy", edited: dir + "/edited", aux: dir + "/aux"}
	attrTree(t, f.copy)
	duplicate(t, f.copy, f.edited)
	editAttrs(t, f.edited)
	e := editor{t, f.aux}
	e.check(os.Mkdir(f.aux, 0o755))
	e.write("attrs.lst", "sizes/f33\ndeep/er\nacl/inherit/\nnot/there\n", day(1))
	if res := rrtest.Run(t, rrtest.Sshd(t, f.copy), f.src+"/", "-aHAX", "--fake-super", "rr:"+f.copy+"/"); res.Code != 0 {
		t.Fatal(res)
	}
	// Without the prefix no client can set it.
	e.check(unix.Removexattr(f.src+"/odd/file", "user.rsync.lnx"))
	fakeOdds(rrtest.NewTree(t, f.src))
	f.servers = [2]*rrtest.Server{rrtest.Sshd(t, f.src, opts...), rrtest.UnderTest(t, f.src, opts...)}
	return f
}

// fakeOdds adds what rsync would not have written.
func fakeOdds(tr *rrtest.Tree) {
	const zero = "0,0 "
	for name, o := range map[string]struct{ stat, content string }{
		"blanks":   {" 100604\t 0, 0  5: 6", "x"},
		"signs":    {"+100600 +0,-0 +5:-2 and more", "x"},
		"large":    {"100600 0,0 4294967294:8589934597", "x"},
		"setuid":   {"106755 " + zero + "1:2", "x"},
		"more":     {"1100640 " + zero + "1:2", "x"},
		"block":    {"60660 259,1048575 1:2", "not the device's"},
		"socket":   {"140600 " + zero + "1:2", ""},
		"absolute": {"120777 " + zero + "1:2", "/etc/passwd"},
		"up":       {"120777 " + zero + "1:2", "../../up"},
		"munged":   {"120777 " + zero + "1:2", "/rsyncd-munged/target"},
		"empty":    {"120777 " + zero + "1:2", ""},
		"nodir":    {"40755 " + zero + "1:2", "not a directory"},
		"overlong": {"100600 0,0 5:6" + strings.Repeat(" ", 250), "x"},
		"at limit": {"100600 0,0 5:6" + strings.Repeat(" ", 241), "x"},
	} {
		tr.File("fake/"+name, o.content)
		tr.Xattr("fake/"+name, "user.rsync.%stat", o.stat)
	}
	tr.Link("fake/block2", "fake/block")
	tr.File("fake/dirfile/inside", "of what is said to be a file")
	tr.Xattr("fake/dirfile", "user.rsync.%stat", "100600 0,0 5:6")
	tr.File("fake/dirlink/inside", "of what is said to be a link")
	tr.Xattr("fake/dirlink", "user.rsync.%stat", "120777 0,0 5:6")
	tr.Symlink("fake/real", "nowhere")
	tr.Node("fake/fifo", unix.S_IFIFO|0o644, 0, 0)
	for name, value := range map[string]string{
		"single": "\x80\x00\x00\x00\x07\x00\x00\x00\x05\x00\x00\x00\x80\x00\x00\x00",
		"full":   "\x06\x00\x00\x00\x04\x00\x00\x00\x06\x00\x00\x00\x04\x00\x00\x00\x09\x00\x00\x00\x06\x00\x00\x80",
	} {
		tr.File("fake/acl "+name, name)
		tr.Xattr("fake/acl "+name, "user.rsync.%aacl", value)
		tr.Mkdir("fake/dir " + name)
		tr.Xattr("fake/dir "+name, "user.rsync.%dacl", value)
	}
	tr.Done()
}
