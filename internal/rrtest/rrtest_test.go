package rrtest

import (
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// TestReference pulls the whole rich tree from the reference: the harness
// itself, end to end.
func TestReference(t *testing.T) {
	src, dst := TempDir(t)+"/src", TempDir(t)+"/dst"
	RichTree(t, src)
	s := Sshd(t, src)
	if res := Run(t, s, dst+"/", "-aHAX", "rr:"); res.Code != 0 || res.Stderr != "" {
		t.Fatal(res)
	}
	Compare(t, src, dst, Aspects{Links: true, Xattrs: true})
}

// TestDiffSees changes one thing of a tree at a time, all times kept, and each
// change must be seen.
func TestDiffSees(t *testing.T) {
	changes := map[string]func(tr *Tree) error{
		"content":    func(tr *Tree) error { return os.WriteFile(tr.Path("a.txt"), []byte("THE FIRST FILE\n"), 0o644) },
		"size":       func(tr *Tree) error { return os.Truncate(tr.Path("a.txt"), 3) },
		"more zeros": func(tr *Tree) error { return os.Truncate(tr.Path("hole"), 1<<20+1) },
		"mode":       func(tr *Tree) error { return os.Chmod(tr.Path("a.txt"), 0o600) },
		"mtime":      func(tr *Tree) error { tr.Time("a.txt", epoch, 1); return nil },
		"dir mtime":  func(tr *Tree) error { tr.Time("sub", epoch, 1); return nil },
		"absent":     func(tr *Tree) error { delete(tr.times, "sub"); return os.Remove(tr.Path("sub")) },
		"additional": func(tr *Tree) error { return os.Mkdir(tr.Path("new"), 0o755) },
		"target":     func(tr *Tree) error { return replace(tr.Path("link"), symlinkTo("b.txt")) },
		"type":       func(tr *Tree) error { return replace(tr.Path("link"), makeFile("a.txt")) },
		"hard link":  func(tr *Tree) error { return replace(tr.Path("h2"), makeFile("same\n")) },
		"xattr":      func(tr *Tree) error { tr.Xattr("a.txt", "user.x", "2"); return nil },
		"acl":        func(tr *Tree) error { tr.Xattr("h1", "system.posix_acl_access", aclUser1000Read); return nil },
	}
	if os.Getuid() == 0 {
		changes["owner"] = func(tr *Tree) error { return os.Lchown(tr.Path("a.txt"), 77, -1) }
		changes["group"] = func(tr *Tree) error { return os.Lchown(tr.Path("link"), -1, 77) }
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			before := snapshotOf(t, func(*Tree) error { return nil })
			if d := Diff(before, snapshotOf(t, func(*Tree) error { return nil })); len(d) > 0 {
				t.Fatalf("two trees built alike differ:\n%s", head(d, 20))
			}
			if d := Diff(before, snapshotOf(t, change)); len(d) == 0 {
				t.Error("the change was not seen")
			}
		})
	}
}

func snapshotOf(t *testing.T, change func(*Tree) error) Snapshot {
	t.Helper()
	tr := NewTree(t, TempDir(t))
	tr.File("a.txt", "the first file\n")
	tr.Xattr("a.txt", "user.x", "1")
	tr.Mkdir("sub")
	tr.Symlink("link", "a.txt")
	tr.File("h1", "same\n")
	tr.Link("h2", "h1")
	tr.Sparse("hole", 1<<20, 1<<19, "island")
	tr.check(change(tr))
	tr.Done()
	snap, err := Take(tr.Dir, Aspects{Links: true, Xattrs: true})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func replace(name string, create func(string) error) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return create(name)
}

func symlinkTo(target string) func(string) error {
	return func(name string) error { return os.Symlink(target, name) }
}

func makeFile(content string) func(string) error {
	return func(name string) error { return os.WriteFile(name, []byte(content), 0o644) }
}

// TestContentHash stores the same content as a hole, as written zeros and with
// a short last block.
func TestContentHash(t *testing.T) {
	dir := TempDir(t)
	content := make([]byte, 3*hashBlock+100)
	copy(content[2*hashBlock+5:], "island")
	written, sparse, other := dir+"/written", dir+"/sparse", dir+"/other"
	tr := NewTree(t, dir)
	tr.File("written", string(content))
	tr.Sparse("sparse", int64(len(content)), 2*hashBlock+5, "island")
	tr.Sparse("other", int64(len(content)), hashBlock+5, "island")
	a, errA := ContentHash(written)
	b, errB := ContentHash(sparse)
	c, errC := ContentHash(other)
	if errA != nil || errB != nil || errC != nil {
		t.Fatal(errA, errB, errC)
	}
	if a != b {
		t.Error("a hole and written zeros have different hashes")
	}
	if a == c {
		t.Error("the same data at another offset has the same hash")
	}
}

// TestTimeout runs a client that hangs: it is killed, and what it said until then is
// there, once it is given the time to say it.
func TestTimeout(t *testing.T) {
	for timeout := 100 * time.Millisecond; timeout < RunTimeout; timeout *= 2 {
		res, err := Client{Timeout: timeout}.Exec("sh", "-c", "echo begun; sleep 1000")
		if err == nil {
			t.Fatal("it ended by itself")
		}
		if res.Stdout == "begun\n" {
			return
		}
	}
	t.Error("nothing was said")
}
