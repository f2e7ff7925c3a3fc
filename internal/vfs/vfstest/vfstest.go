package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/vfs"
)

// Test holds an FS to its contract. newFS makes one of the given tree, and puts
// the directory OutsideName beside its root when it can hold links.
func Test(t *testing.T, can Can, newFS func(t *testing.T, tree []Entry) vfs.FS) {
	s := &suite{fs: newFS(t, Tree(can)), can: can, tree: Tree(can)}
	t.Run("Lstat", s.testLstat)
	t.Run("ReadDir", s.testReadDir)
	t.Run("Open", s.testOpen)
	t.Run("ReadAt", s.testReadAt)
	t.Run("Xattrs", s.testXattrs)
	t.Run("Missing", s.testMissing)
	t.Run("NotDirectory", s.testNotDirectory)
	t.Run("ZeroPath", s.testZeroPath)
	t.Run("Concurrent", s.testConcurrent)
	if can.Links {
		t.Run("Readlink", s.testReadlink)
		t.Run("Inside", s.testInside)
		t.Run("Outside", s.testOutside)
		t.Run("NoFollow", s.testNoFollow)
		t.Run("Special", s.testSpecial)
	}
}

type suite struct {
	fs   vfs.FS
	can  Can
	tree []Entry
}

// P is vfs.ParsePath of a name that is known to be good.
func P(t testing.TB, name string) vfs.Path {
	t.Helper()
	p, err := vfs.ParsePath(name)
	if err != nil {
		t.Fatalf("ParsePath(%q): %v", name, err)
	}
	return p
}

// Content reads the whole file p.
func Content(t testing.TB, fsys vfs.FS, p vfs.Path) string {
	t.Helper()
	f, err := fsys.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err != nil {
		t.Fatalf("read %q: %v", p, err)
	}
	return string(b)
}

// wantError holds an error to its operation, its name and one of the numbers.
func wantError(t *testing.T, err error, op string, p vfs.Path, numbers ...int) {
	t.Helper()
	var e *vfs.Error
	if !errors.As(err, &e) {
		t.Errorf("%s %q: error %v, want a *vfs.Error", op, p, err)
		return
	}
	if e.Op != op || e.Path != p || !slices.Contains(numbers, e.Errno) {
		t.Errorf("error %v: op %q path %q number %d, want %q %q %v", err, e.Op, e.Path, e.Errno, op, p, numbers)
	}
}

func (s *suite) testLstat(t *testing.T) {
	root, err := s.fs.Lstat(vfs.Root())
	if err != nil {
		t.Fatal(err)
	}
	if !root.IsDir() || root.Name != "" {
		t.Errorf("root: name %q mode %o, want no name and a directory", root.Name, root.Mode)
	}
	for _, e := range s.tree {
		info, err := s.fs.Lstat(P(t, e.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		s.checkInfo(t, e, info)
	}
}

// checkInfo compares what an FS tells with what was built.
func (s *suite) checkInfo(t *testing.T, e Entry, got vfs.Info) {
	t.Helper()
	want := vfs.Info{Name: e.Name[strings.LastIndexByte(e.Name, '/')+1:], Mode: e.Mode, Mtime: e.Mtime, Size: got.Size}
	if e.Mode&vfs.ModeType == link || got.IsRegular() {
		want.Size = int64(len(e.Data))
	}
	seen := vfs.Info{Name: got.Name, Mode: got.Mode, Mtime: got.Mtime, Size: got.Size, Err: got.Err}
	if want != seen {
		t.Errorf("%q:\ngot  %+v\nwant %+v", e.Name, seen, want)
	}
	if s.can.Inodes && (got.Dev == 0 || got.Ino == 0) || got.Nlink == 0 {
		t.Errorf("%q: device %d inode %d links %d", e.Name, got.Dev, got.Ino, got.Nlink)
	}
}

func (s *suite) testReadDir(t *testing.T) {
	want := map[string][]string{}
	for _, e := range s.tree {
		d, name := "/", e.Name
		if i := strings.LastIndexByte(e.Name, '/'); i >= 0 {
			d, name = "/"+e.Name[:i], e.Name[i+1:]
		}
		want[d] = append(want[d], name)
		if e.Mode&vfs.ModeType == dir {
			want["/"+e.Name] = nil
		}
	}
	used := slices.Repeat([]vfs.Info{{ // by another listing
		Name: "x", Mode: 1, Size: 2, Mtime: vfs.Time{Sec: 3, Nsec: 4}, Atime: vfs.Time{Sec: 5, Nsec: 6},
		UID: 7, GID: 8, Nlink: 9, Dev: 10, Ino: 11, RdevMajor: 12, RdevMinor: 13, Err: errors.New("14"),
	}}, 5)
	for name := range want {
		d := P(t, name)
		infos, err := s.fs.ReadDir(d, used)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, i := range infos {
			got = append(got, i.Name)
			s.sameAsLstat(t, d, i)
		}
		slices.Sort(got)
		slices.Sort(want[name])
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("ReadDir(%q):\n%s", name, diff)
		}
	}
}

func (s *suite) sameAsLstat(t *testing.T, d vfs.Path, listed vfs.Info) {
	t.Helper()
	p, err := d.Join(listed.Name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.fs.Lstat(p)
	if err != nil {
		t.Error(err)
	}
	if info.Atime, listed.Atime = listed.Atime, info.Atime; info != listed {
		t.Errorf("%q:\nlisted  %+v\nlstat %+v", p, listed, info)
	}
}

func (s *suite) testOpen(t *testing.T) {
	for _, e := range s.tree {
		p := P(t, e.Name)
		if e.Mode&vfs.ModeType != file {
			continue
		}
		f, err := s.fs.Open(p)
		if err != nil {
			t.Error(err)
			continue
		}
		s.checkInfo(t, e, *f.Info())
		info, err := s.fs.Lstat(p)
		if err != nil || !info.SameFile(f.Info()) {
			t.Errorf("%q: opened %+v, lstat %+v, %v", p, *f.Info(), info, err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("close %q: %v", p, err)
		}
		if got := Content(t, s.fs, p); got != e.Data {
			t.Errorf("%q: content %q, want %q", p, got, e.Data)
		}
	}
	_, err := s.fs.Open(P(t, "dir"))
	wantError(t, err, "open", P(t, "dir"), vfs.EISDIR)
	_, err = s.fs.Open(vfs.Root())
	wantError(t, err, "open", vfs.Root(), vfs.EISDIR)
}

func (s *suite) testReadAt(t *testing.T) {
	f, err := s.fs.Open(P(t, "lines"))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(lines))
	for _, c := range []struct {
		off, len int64
		want     string
		err      error
	}{
		{0, 0, "", nil},
		{0, 6, "line 0", nil},
		{0, size, lines, nil},
		{0, size + 1, lines, io.EOF},
		{size - 3, 3, "99\n", nil},
		{size - 3, 4, "99\n", io.EOF},
		{size, 1, "", io.EOF},
		{size + 1, 1, "", io.EOF},
		{1 << 40, 1, "", io.EOF},
	} {
		b := make([]byte, c.len)
		n, err := f.ReadAt(b, c.off)
		if string(b[:n]) != c.want || err != c.err {
			t.Errorf("ReadAt(%d bytes, %d) = %d bytes, %v, want %d bytes, %v", c.len, c.off, n, err, len(c.want), c.err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, err = f.ReadAt(make([]byte, 1), 0)
	wantError(t, err, "read", P(t, "lines"), vfs.EIO)
}

func (s *suite) testMissing(t *testing.T) {
	for _, name := range []string{"no", "dir/no", "no/such/name", "many/0"} {
		p := P(t, name)
		for _, p := range []vfs.Path{p, p.Follow()} {
			s.wantErrors(t, p, vfs.ENOENT)
			if _, err := s.fs.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Lstat(%q): %v, want fs.ErrNotExist", p, err)
			}
		}
	}
}

// wantErrors holds all methods to fail.
func (s *suite) wantErrors(t *testing.T, p vfs.Path, number ...int) {
	t.Helper()
	_, err := s.fs.Lstat(p)
	wantError(t, err, "lstat", p, number...)
	_, err = s.fs.ReadDir(p, nil)
	wantError(t, err, "readdir", p, number...)
	_, err = s.fs.Open(p)
	wantError(t, err, "open", p, number...)
	s.wantNoXattrs(t, p, number...)
	if s.can.Links {
		_, err = s.fs.Readlink(p)
		wantError(t, err, "readlink", p, number...)
	}
}

// testXattrs opens every object for its attributes, of which the tree has none
// that a user can set.
func (s *suite) testXattrs(t *testing.T) {
	for _, e := range s.tree {
		x, err := s.fs.Xattrs(P(t, e.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		names, err := x.Names()
		if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "user.") }) {
			t.Errorf("%q: attributes %q, %v", e.Name, names, err)
		}
		_, err = x.Value("user.none")
		wantError(t, err, "getxattr", P(t, e.Name), vfs.ENODATA)
		if err := x.Close(); err != nil {
			t.Errorf("%q: close: %v", e.Name, err)
		}
	}
}

// wantNoXattrs holds the reading of attributes to fail, at the latest when it
// begins.
func (s *suite) wantNoXattrs(t *testing.T, p vfs.Path, number ...int) {
	t.Helper()
	x, err := s.fs.Xattrs(p)
	if err != nil {
		wantError(t, err, "open", p, number...)
		return
	}
	defer x.Close()
	_, err = x.Names()
	wantError(t, err, "listxattr", p, number...)
	_, err = x.Value("user.none")
	wantError(t, err, "getxattr", p, number...)
}

func (s *suite) testNotDirectory(t *testing.T) {
	infos, err := s.fs.ReadDir(P(t, "file"), nil)
	wantError(t, err, "readdir", P(t, "file"), vfs.ENOTDIR)
	if len(infos) != 0 {
		t.Errorf("a file lists %v", infos)
	}
	if !s.can.Links {
		s.wantErrors(t, P(t, "file/x"), vfs.ENOENT)
		return
	}
	s.wantErrors(t, P(t, "file/x"), vfs.ENOTDIR)
	s.wantErrors(t, P(t, "fifo/x"), vfs.ENOTDIR)
	s.wantErrors(t, P(t, "dir/"+strings.Repeat("n", 256)), vfs.ENAMETOOLONG)
}

func (s *suite) testZeroPath(t *testing.T) {
	for _, p := range []vfs.Path{{}, vfs.Path{}.Follow(), vfs.Path{}.Dir()} {
		s.wantErrors(t, p, vfs.EINVAL)
		_, err := s.fs.Readlink(p)
		if wantError(t, err, "readlink", p, vfs.EINVAL); !errors.Is(err, vfs.ErrNoPath) {
			t.Errorf("Readlink of no path: %v", err)
		}
		if _, err := p.Join("dir"); err == nil {
			t.Errorf("%q can be joined", p)
		}
	}
}

func (s *suite) testConcurrent(t *testing.T) {
	f, err := s.fs.Open(P(t, "lines"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	paths := []vfs.Path{P(t, "odd"), P(t, "dir/a/b/c"), P(t, "no")}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 200 {
				s.fs.Lstat(paths[i%len(paths)])
				if infos, err := s.fs.ReadDir(paths[0], nil); err != nil || len(infos) != len(odd) {
					t.Errorf("ReadDir: %d entries, %v", len(infos), err)
				}
				b := make([]byte, 100)
				off := (worker*200 + i) * 20
				n, err := f.ReadAt(b, int64(off))
				if err != nil || string(b[:n]) != lines[off:off+len(b)] {
					t.Errorf("ReadAt(%d) = %q, %v", off, b[:n], err)
				}
			}
		})
	}
	wg.Wait()
}
