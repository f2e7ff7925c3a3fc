package fuzz

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// A file beside the tree. Nothing in the tree has its name or is as long.
const (
	secretName = "secret-name"
	secretLine = "what lies beside the served directory is never sent\n"
)

var secret = strings.Repeat(secretLine, 99)

// hidden is the content of files called "hidden".
const hidden = "what the client's own rules hide is never sent either\n"

// object is something in a tree: a directory if it has no content and its
// name ends with a slash, a link if it has a target.
type object struct {
	name, data, target string
	mode               uint32
	errno              int
}

// objects is a small tree with everything that a name can be. The names are
// those of the recordings.
var objects = []object{
	{name: "srv/"}, {name: "srv/tree/"}, {name: "srv/tree/d/"}, {name: "srv/tree/d/sub/"}, {name: "srv/tree/x/"}, {name: "srv/tree/e/"},
	{name: "srv/tree/d/a.txt", data: fileData}, {name: "srv/tree/d/sub/b.txt", data: fileData}, {name: "srv/tree/x/big", data: fileData},
	{name: "srv/tree/x/small", data: "s\n"}, {name: "srv/tree/x/empty"},
	{name: "srv/tree/d/hidden", data: hidden}, {name: "srv/tree/d/sub/hidden", data: hidden}, {name: "hidden", data: hidden},
	{name: "srv/tree/d/.rsync-filter", data: "- *.o\n: .more\n"},
	{name: "srv/tree/d/.more", data: "-s x\nH b*\n-C\n"},
	{name: "srv/tree/d/.cvsignore", data: "*.bak !\n"},
	{name: "srv/names", data: "tree/d/a.txt\n#no\n../../tree/x/\r\ntree/./x/small\nnone\n\xe9\n"},
	{name: "srv/tree/d/ln", target: "a.txt"},
	{name: "srv/tree/d/up", target: "../../../.."},
	{name: "srv/tree/d/loop", target: "."},
	{name: "srv/tree/d/none", target: "nothing"},
	{name: "srv/tree/d/munged", target: "/rsyncd-munged/a.txt"},
	{name: "srv/tree/d/out", target: "../../../../outside/" + secretName},
	{name: "srv/tree/d/outdir", target: "../../../../outside"},
	{name: "srv/tree/d/etc", target: "/etc"},
	{name: "srv/tree/d/round", target: "outdir/../root/srv"},
	{name: "srv/tree/d/pipe", mode: vfs.ModeFIFO | 0o644},
	{name: "srv/tree/d/x y'\"\\*[?{a,b}~", data: "odd"}, {name: "srv/tree/d/\xff\n\x1b", data: "odd"}, {name: "srv/tree/d/-rf", data: "odd"},
	{name: "srv/tree/d/...", data: "odd"}, {name: "srv/tree/d/" + strings.Repeat("n", 255), data: "odd"},
	{name: "srv/tree/e/noread", data: "s", errno: vfs.EACCES}, {name: "srv/tree/e/priv/", errno: vfs.EACCES},
	{name: "ax/"}, {name: "ax/f", data: fileData}, {name: "ax/g", data: "s"}, {name: "x2/"}, {name: "x2/f", data: fileData},
	{name: "ic/"}, {name: "ic/a\xe9", data: "a"}, {name: "ic/d\xe9/"}, {name: "ic/d\xe9/x\xfc", data: "x"}, {name: "ic/l\xe9", target: "a\xe9"},
}

var fileData = strings.Repeat("0123456789abcdef", 300)

// memoryTree is the tree with what a disk would need privileges for:
// attributes, devices, and errors.
func memoryTree() *vfstest.Memory {
	t := vfstest.NewMemory()
	attrs := map[string][]byte{
		"user.long": bytes.Repeat([]byte("value"), 100), "user.longer": bytes.Repeat([]byte("value"), 200), "user.short": []byte("v"),
		"user.unreadable": nil,
		"system.posix_acl_access": []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xe8\x03\x00\x00" +
			"\x04\x00\x04\x00\xff\xff\xff\xff\x08\x00\x07\x00\x02\x00\x00\x00\x08\x00\x07\x00\x05\x00\x00\x00\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"),
	}
	for i, o := range objects {
		n := vfstest.Node{Info: vfs.Info{Mode: o.mode, Ino: uint64(i), UID: uint32(i % 5), GID: uint32(i % 4)}, Data: []byte(o.data), Target: o.target, Errno: o.errno, Xattrs: attrs}
		name, dir := strings.CutSuffix(o.name, "/")
		switch {
		case o.target == ".":
			continue // on disk the kernel follows it 40 times; here that costs more memory than the session
		case o.mode != 0:
		case dir:
			n.Info.Mode, n.Info.Size = vfs.ModeDir|0o755, 4096
			n.Xattrs = map[string][]byte{"user.d": bytes.Repeat([]byte("d"), 100), "system.posix_acl_default": attrs["system.posix_acl_access"]}
		case o.target != "":
			n.Info.Mode = vfs.ModeSymlink | 0o777
		default:
			n.Info.Mode = vfs.ModeRegular | 0o644
		}
		t.Add(name, n)
	}
	device := vfs.Info{Mode: vfs.ModeChar | 0o666, RdevMajor: 1, RdevMinor: 3}
	t.Add("srv/tree/d/null", vfstest.Node{Info: device})
	for name, errno := range map[string]int{"vanished": vfs.ENOENT, "unreadable": vfs.EACCES} {
		info := vfs.Info{Mode: vfs.ModeRegular | 0o644}
		t.Add("srv/tree/e/opens-as-"+name, vfstest.Node{Info: info, Errno: errno})
		info.Err = &vfs.Error{Op: "lstat", Errno: errno, Err: errors.New("not possible")}
		t.Add("srv/tree/e/lists-as-"+name, vfstest.Node{Info: info})
		t.Add("srv/tree/e/dir-"+name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}, Errno: errno})
	}
	t.Add("srv/tree/v", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
	t.Add("srv/tree/v/opens-as-vanished", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Errno: vfs.ENOENT})
	t.Add("srv/tree/v/shrunk", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644, Size: 9000}, Data: []byte("short")})
	for name, attrs := range map[string]map[string][]byte{
		"acl-unreadable": {"system.posix_acl_access": nil}, "acl-bad": {"system.posix_acl_access": []byte("bad")},
		"acl-default": {"system.posix_acl_default": nil}, "stat": {"user.rsync.%stat": []byte("100644 0,0 0:0")},
	} {
		t.Add("srv/tree/e/"+name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}, Xattrs: attrs})
	}
	t.Add("fake", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
	t.Add("fake-bad", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
	for name, stat := range map[string]string{
		"fake/file": "100640 0,0 1000:1000", "fake/link": "120777 0,0 0:0", "fake/device": "20644 1,3 0:0", "fake/fifo": "10600 0,0 5:6", "fake/dir": "40755 0,0 7:8",
		"fake-bad/file": "none",
	} {
		n := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o600}, Data: []byte("file"), Xattrs: map[string][]byte{"user.rsync.%stat": []byte(stat)}}
		if name == "fake/dir" {
			n.Info.Mode, n.Data = vfs.ModeDir|0o700, nil
		}
		t.Add(name, n)
	}
	t.Add("fake/unreadable", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o600}, Xattrs: map[string][]byte{"user.rsync.%stat": nil}})
	for name, target := range map[string]string{"to-nothing": "", "far": strings.Repeat("t", 5000), "bytes": "\xe9", "cut": "a\xc3"} {
		t.Add("srv/tree/e/"+name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: target})
	}
	mounted := vfs.Info{Mode: vfs.ModeDir | 0o755, Dev: 9}
	t.Add("srv/tree/e/mounted", vfstest.Node{Info: mounted})
	t.Add("srv/tree/e/mounted/f", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644, Dev: 9}, Data: []byte("s")})
	linked := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644, Nlink: 2, Ino: 7777, Dev: 5}, Data: []byte("twice")}
	t.Add("srv/tree/x/hard1", linked)
	t.Add("srv/tree/x/hard2", linked)
	return t
}

// diskTree is the tree in a directory, seen as the binary sees it, with the
// secret beside it.
func diskTree(f *testing.F) vfs.FS {
	f.Helper()
	dir := f.TempDir()
	root := filepath.Join(dir, "root")
	must(f, os.Mkdir(root, 0o755))
	must(f, os.Mkdir(filepath.Join(dir, "outside"), 0o755))
	must(f, os.WriteFile(filepath.Join(dir, "outside", secretName), []byte(secret), 0o644))
	must(f, os.Symlink(filepath.Join(dir, "outside", secretName), filepath.Join(root, "absolute")))
	for _, o := range objects {
		path := filepath.Join(root, o.name)
		switch {
		case o.mode != 0:
			must(f, syscall.Mkfifo(path, 0o644))
		case strings.HasSuffix(o.name, "/"):
			must(f, os.Mkdir(path, 0o755))
		case o.target != "":
			must(f, os.Symlink(o.target, path))
		default:
			must(f, os.WriteFile(path, []byte(o.data), 0o644))
		}
	}
	tree, err := jail.Open(root)
	must(f, err)
	f.Cleanup(func() { tree.Close() })
	stack := afero.NewReadOnlyFs(afero.NewBasePathFs(tree, "/"))
	return vfs.FromAfero(stack, vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs})
}

func must(f *testing.F, err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}
