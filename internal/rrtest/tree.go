package rrtest

import (
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Tree builds a directory tree whose every modification time is set, so that
// two trees built alike are equal. Methods end the test on failure; names are
// relative to Dir and their parents are made as needed.
type Tree struct {
	T   testing.TB
	Dir string
	// times are applied by Done, since making an entry changes its directory.
	times map[string][2]unix.Timespec
}

// epoch is the earliest modification time of the objects of a Tree.
const epoch = 1_600_000_000

// NewTree starts a tree in the directory dir, which is made if necessary.
func NewTree(t testing.TB, dir string) *Tree {
	t.Helper()
	tr := &Tree{T: t, Dir: dir, times: make(map[string][2]unix.Timespec)}
	tr.check(os.MkdirAll(dir, 0o755))
	tr.touch(".")
	return tr
}

func (tr *Tree) check(err error) {
	tr.T.Helper()
	if err != nil {
		tr.T.Fatal(err)
	}
}

// Path is the full name of name.
func (tr *Tree) Path(name string) string { return tr.Dir + "/" + name }

// touch gives name a time of its own, which depends on nothing but the name.
func (tr *Tree) touch(name string) {
	h := fnv.New64a()
	io.WriteString(h, name)
	sum := h.Sum64()
	tr.Time(name, epoch+int64(sum>>40), int64(sum%1_000_000_000))
}

// Time sets the modification and access time of name.
func (tr *Tree) Time(name string, sec, nsec int64) {
	ts := unix.NsecToTimespec(sec*1e9 + nsec)
	tr.times[name] = [2]unix.Timespec{ts, ts}
}

// Atime sets the access time of name, in seconds, in place of its mtime.
func (tr *Tree) Atime(name string, sec int64) {
	ts := tr.times[name]
	ts[0] = unix.NsecToTimespec(sec*1e9 + 7)
	tr.times[name] = ts
}

// Mkdir makes a directory and those above it.
func (tr *Tree) Mkdir(name string) {
	tr.T.Helper()
	if name == "." || tr.times[name] != [2]unix.Timespec{} {
		return
	}
	tr.Mkdir(filepath.Dir(name))
	tr.check(os.Mkdir(tr.Path(name), 0o755))
	tr.touch(name)
}

// File makes a regular file.
func (tr *Tree) File(name, content string) {
	tr.T.Helper()
	tr.Mkdir(filepath.Dir(name))
	tr.check(os.WriteFile(tr.Path(name), []byte(content), 0o644))
	tr.touch(name)
}

// Sparse makes a file of size bytes which is a hole but for the data at off.
func (tr *Tree) Sparse(name string, size, off int64, data string) {
	tr.T.Helper()
	tr.File(name, "")
	f, err := os.OpenFile(tr.Path(name), os.O_WRONLY, 0)
	tr.check(err)
	_, err = f.WriteAt([]byte(data), off)
	tr.check(err)
	tr.check(f.Truncate(size))
	tr.check(f.Close())
}

// Symlink makes a symbolic link.
func (tr *Tree) Symlink(name, target string) {
	tr.T.Helper()
	tr.Mkdir(filepath.Dir(name))
	tr.check(os.Symlink(target, tr.Path(name)))
	tr.touch(name)
}

// Link makes name a hard link of the existing file old.
func (tr *Tree) Link(name, old string) {
	tr.T.Helper()
	tr.Mkdir(filepath.Dir(name))
	tr.check(os.Link(tr.Path(old), tr.Path(name)))
	tr.times[name] = tr.times[old]
}

// Node makes a FIFO, socket or device node; mode has the type bits.
func (tr *Tree) Node(name string, mode uint32, major, minor uint32) {
	tr.T.Helper()
	tr.Mkdir(filepath.Dir(name))
	tr.check(unix.Mknod(tr.Path(name), mode, int(unix.Mkdev(major, minor))))
	tr.touch(name)
}

// Chmod sets the permissions of name, the raw 07777 bits.
func (tr *Tree) Chmod(name string, mode uint32) {
	tr.T.Helper()
	tr.check(unix.Chmod(tr.Path(name), mode))
}

// Chown sets the owner and group of name. Only root can.
func (tr *Tree) Chown(name string, uid, gid int) {
	tr.T.Helper()
	tr.check(os.Lchown(tr.Path(name), uid, gid))
}

// Xattr sets an extended attribute.
func (tr *Tree) Xattr(name, attr, value string) {
	tr.T.Helper()
	tr.check(unix.Lsetxattr(tr.Path(name), attr, []byte(value), 0))
}

// Done sets the times. The tree is complete after it.
func (tr *Tree) Done() {
	tr.T.Helper()
	names := make([]string, 0, len(tr.times))
	for name := range tr.times {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		ts := tr.times[name]
		err := unix.UtimesNanoAt(unix.AT_FDCWD, tr.Path(name), ts[:], unix.AT_SYMLINK_NOFOLLOW)
		if err != nil {
			tr.T.Fatal(&fs.PathError{Op: "utimensat", Path: tr.Path(name), Err: err})
		}
	}
}

// Noise is n bytes that do not compress, the same for the same seed.
func Noise(seed uint64, n int) string {
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	b := make([]byte, n)
	src.Read(b)
	return string(b)
}

// Text is n bytes of lines of words, which compress like a log file.
func Text(seed uint64, n int) string {
	words := strings.Fields("backup of the house is done and all files were read from the disk " +
		"without error while nobody was looking at what it did with them on main or remote")
	rnd := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%08x %s %s %s %s %d\n", rnd.Uint32(), words[rnd.IntN(len(words))],
			words[rnd.IntN(len(words))], words[rnd.IntN(len(words))], words[rnd.IntN(len(words))], rnd.IntN(1000))
	}
	return b.String()[:n]
}

// SmallFiles makes n files of up to about 200 bytes, 250 to a directory, with
// random content, below dir. It is fast, but leaves times as they come.
func SmallFiles(dir string, n int) error {
	const perDir = 250
	noise := Noise(50, 4096)
	for i := range n {
		parent := fmt.Sprintf("%s/d%02d/e%03d", dir, i/perDir%16, i/perDir)
		if i%perDir == 0 {
			if err := os.MkdirAll(parent, 0o755); err != nil {
				return err
			}
		}
		at := i * 31 % 3800
		content := fmt.Sprintf("%d\n%s", i, noise[at:at+i%200])
		if err := os.WriteFile(fmt.Sprintf("%s/file-%06d", parent, i), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// AgeTree sets the modification time of everything below dir a day back, so
// that "just now" can be told from "preserved".
func AgeTree(dir string) error {
	old := time.Now().Add(-24 * time.Hour)
	var dirs []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			dirs = append(dirs, name)
			return nil
		case d.Type().IsRegular():
			return os.Chtimes(name, old, old)
		}
		return nil
	})
	for _, d := range dirs {
		if err == nil {
			err = os.Chtimes(d, old, old)
		}
	}
	return err
}
