package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// TestDifferencesAreSeen runs the comparison against a server whose tree is
// wrong in one small thing each time, and demands that it is seen: a
// differential test that cannot fail proves nothing.
func TestDifferencesAreSeen(t *testing.T) {
	dir := rrtest.ScratchDir(t)
	f := &fixture{src: dir + "/src", copy: dir + "/copy", edited: dir + "/edited", aux: dir + "/aux"}
	rrtest.RichTree(t, f.src)
	duplicate(t, f.src, f.copy)
	makeAux(t, f.aux)
	wrong := dir + "/wrong"
	// remake puts another object in the place of name, with the old times.
	remake := func(e editor, name string, create func(full string) error) {
		info, err := os.Lstat(e.dir + "/" + name)
		e.check(err)
		e.remove(name)
		e.check(create(e.dir + "/" + name))
		times := unix.NsecToTimespec(info.ModTime().UnixNano())
		e.check(unix.UtimesNanoAt(unix.AT_FDCWD, e.dir+"/"+name, []unix.Timespec{times, times}, unix.AT_SYMLINK_NOFOLLOW))
	}
	f.servers = [2]*rrtest.Server{rrtest.Sshd(t, f.src), rrtest.Sshd(t, wrong)}
	for _, s := range f.servers {
		check(t, s.Multiplex())
	}
	for _, c := range []struct {
		name   string
		dst    string
		line   string
		change func(e editor)
	}{
		{"owner", empty, "-a rr: DST/", func(e editor) { e.check(os.Lchown(e.dir+"/a.txt", 77, -1)) }},
		{"group of a link", empty, "-a rr: DST/", func(e editor) { e.check(os.Lchown(e.dir+"/tosub", -1, 77)) }},
		{"mtime of a directory", empty, "-a rr: DST/", func(e editor) { e.check(os.Chtimes(e.dir+"/sub", day(1), day(1))) }},
		{"a nanosecond", empty, "-a rr: DST/", func(e editor) {
			e.check(os.Chtimes(e.dir+"/a.txt", time.Time{}, e.mtime("a.txt").Add(time.Nanosecond)))
		}},
		{"atime", empty, "-aU rr:atimes DST/", func(e editor) {
			e.check(os.Chtimes(e.dir+"/atimes/a", e.mtime("atimes/a").AddDate(99, 0, 0), time.Time{}))
		}},
		{"target of a link", empty, "-a rr: DST/", func(e editor) {
			remake(e, "links/relative", func(full string) error { return os.Symlink("Target.txt", full) })
		}},
		{"device number", empty, "-a rr:special DST/", func(e editor) {
			remake(e, "special/block2", func(full string) error { return unix.Mknod(full, unix.S_IFBLK|0o660, int(unix.Mkdev(260, 70001))) })
		}},
		{"kind of a special file", empty, "-a rr:special DST/", func(e editor) {
			remake(e, "special/fifo", func(full string) error { return unix.Mknod(full, unix.S_IFSOCK|0o640, 0) })
		}},
		{"hard link to another", empty, "-aH rr:hard DST/", func(e editor) {
			remake(e, "hard/single", func(full string) error { return os.Link(e.dir+"/hard/pair1", full) })
		}},
		{"attribute", empty, "-aX rr: DST/", func(e editor) { e.check(unix.Lsetxattr(e.dir+"/xattrs/file", "user.short", []byte("VALUE"), 0)) }},
		{"attribute missing", empty, "-aX rr: DST/", func(e editor) { e.check(unix.Lremovexattr(e.dir+"/xattrs/dir", "user.dir")) }},
		{"long attribute", copied, "-aX rr: DST/", func(e editor) {
			e.check(unix.Lsetxattr(e.dir+"/xattrs/file", "user.long", []byte(rrtest.Noise(9, 1000)), 0))
		}},
		{"ACL", empty, "-aA rr: DST/", func(e editor) {
			e.check(unix.Lsetxattr(e.dir+"/xattrs/acl", "system.posix_acl_access", []byte(posixACL(6, 4, 4, 4, user(1001, 4))), 0))
		}},
		{"default ACL", empty, "-aA rr: DST/", func(e editor) { e.check(unix.Lremovexattr(e.dir+"/xattrs/dir", "system.posix_acl_default")) }},
		{"content", empty, "-a rr: DST/", func(e editor) { e.write("a.txt", "the worst file\n", e.mtime("a.txt")) }},
		{"content where only deltas go", copied, "-aI --no-W rr: DST/", func(e editor) { e.write("a.txt", "the worst file\n", e.mtime("a.txt")) }},
		{"mode", empty, "-a rr: DST/", func(e editor) { e.check(os.Chmod(e.dir+"/sub/x.txt", 0o640)) }},
		{"mtime", empty, "-a rr: DST/", func(e editor) { e.write("a.txt", e.read("a.txt"), day(1)) }},
		{"hard link", empty, "-aH rr:hard DST/", func(e editor) {
			text, mtime := e.read("hard/h2"), e.mtime("hard/h2")
			e.remove("hard/h2")
			e.write("hard/h2", text, mtime)
		}},
		{"listing", empty, "-r --list-only rr:", func(e editor) { e.write("sub/one more", "", day(1)) }},
		{"dry run", empty, "-ain rr:", func(e editor) { e.write("sub/one more", "", day(1)) }},
		{"exit code and message", empty, "-a rr:d DST/", func(e editor) { e.remove("d") }},
		{"filter file", empty, "-aF rr: DST/", func(e editor) {
			e.write("filters/.rsync-filter", "- *.c\n", e.mtime("filters/.rsync-filter"))
		}},
		{"matched data", copied, "-aI --no-W --stats rr:data DST/", func(e editor) {
			e.write("data/noise.bin", rrtest.Noise(99, 700_001), e.mtime("data/noise.bin"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			duplicate(t, f.src, wrong)
			defer rrtest.RemoveAll(wrong)
			c.change(editor{t, wrong})
			if c.name != "mtime of a directory" {
				sameDirTimes(t, f.src, wrong)
			}
			command := command{name: c.name, dst: c.dst, line: c.line}
			if strings.Contains(c.line, "U") {
				command.opt = withAtimes
			}
			want, got := f.run(t, command, "rsync", f.servers[0]), f.run(t, command, "rsync", f.servers[1])
			if len(differences(want, got)) == 0 {
				t.Errorf("%s: the change was not seen", c.line)
			}
		})
	}
}

// sameDirTimes takes back what a change did to the times of directories, so
// that it cannot be seen by these.
func sameDirTimes(t *testing.T, from, to string) {
	t.Helper()
	check(t, filepath.WalkDir(from, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(to+strings.TrimPrefix(name, from), info.ModTime(), info.ModTime())
	}))
}
