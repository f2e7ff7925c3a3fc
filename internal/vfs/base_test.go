package vfs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/afero"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// scripted is a base whose answers are given. It counts open files.
type scripted struct {
	afero.Fs
	file scriptedFile
	open int
}

func (s *scripted) OpenFile(string, int, fs.FileMode) (afero.File, error) {
	s.open++
	f := s.file
	f.fs = s
	return &f, nil
}

type scriptedFile struct {
	afero.File
	fs      *scripted
	info    fs.FileInfo
	statErr error
	lists   []listing
	readErr error
}

type listing struct {
	list []fs.FileInfo
	err  error
}

func (f *scriptedFile) Close() error                      { f.fs.open--; return nil }
func (f *scriptedFile) Stat() (fs.FileInfo, error)        { return f.info, f.statErr }
func (f *scriptedFile) ReadAt([]byte, int64) (int, error) { return 3, f.readErr }
func (f *scriptedFile) Readdir(int) ([]fs.FileInfo, error) {
	if len(f.lists) == 0 {
		return nil, io.EOF
	}
	l := f.lists[0]
	f.lists = f.lists[1:]
	return l.list, l.err
}

// info is a fs.FileInfo without Attrs.
type info struct {
	name string
	mode fs.FileMode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return 7 }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Unix(-1, 5) }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// full is a fs.FileInfo with Attrs.
type full struct{ info }

func (full) UnixMode() uint32             { return vfs.ModeChar | 0o4660 }
func (full) Owner() (uint32, uint32)      { return 1, 2 }
func (full) ID() (uint64, uint64, uint64) { return 3, 4, 5 }
func (full) Rdev() (uint32, uint32)       { return 6, 7 }
func (full) Mtime() (int64, uint32)       { return -8, 9 }
func (full) Atime() (int64, uint32)       { return 10, 11 }
func (full) Btime() int64                 { return 12 }
func (full) Ctime() int64                 { return 13 }

// broken is an entry which could not be examined.
type broken struct {
	info
	err error
}

func (b broken) StatErr() error { return b.err }

// numbered is an error with a number.
type numbered int

func (n numbered) Error() string { return fmt.Sprintf("number %d", int(n)) }
func (n numbered) Errno() int    { return int(n) }

func TestReadDirAnswers(t *testing.T) {
	dir := info{"dir", fs.ModeDir}
	plain := vfs.Info{Name: "plain", Mode: vfs.ModeRegular, Size: 7, Mtime: vfs.Time{Sec: -1, Nsec: 5},
		Atime: vfs.Time{Sec: -1, Nsec: 5}, Nlink: 1}
	device := vfs.Info{Name: "device", Mode: vfs.ModeChar | 0o4660, Size: 7, Mtime: vfs.Time{Sec: -8, Nsec: 9},
		Atime: vfs.Time{Sec: 10, Nsec: 11}, Btime: 12, Ctime: 13, UID: 1, GID: 2, Dev: 3, Ino: 4, Nlink: 5, RdevMajor: 6, RdevMinor: 7}
	list := func(infos ...fs.FileInfo) []fs.FileInfo { return infos }
	for _, c := range []struct {
		name   string
		lists  []listing
		want   []vfs.Info
		number int // of the error, 0 when there is none
	}{
		{"empty", nil, []vfs.Info{}, 0},
		{"attributes", []listing{{list(info{name: "plain"}, full{info{name: "device"}}), nil}},
			[]vfs.Info{plain, device}, 0},
		{"several chunks", []listing{{list(info{name: "plain"}), nil}, {list(info{name: "plain"}), nil}},
			[]vfs.Info{plain, plain}, 0},
		{"entries with the end", []listing{{list(info{name: "plain"}), io.EOF}}, []vfs.Info{plain}, 0},
		{"nothing instead of the end", []listing{{list(info{name: "plain"}), nil}, {nil, nil}},
			[]vfs.Info{plain}, 0},
		{"error in the middle", []listing{{list(info{name: "plain"}), nil}, {list(info{name: "plain"}), numbered(71)}},
			[]vfs.Info{plain, plain}, 71},
		{"error at once", []listing{{nil, &fs.PathError{Op: "x", Path: "y", Err: numbered(72)}}}, []vfs.Info{}, 72},
		{"name with a slash", []listing{{list(info{name: "plain"}, info{name: "a/b"}, info{name: "c"}), nil}},
			[]vfs.Info{plain}, vfs.EIO},
		{"name that leaves", []listing{{list(info{name: ".."}), nil}}, []vfs.Info{}, vfs.EIO},
		{"name of itself", []listing{{list(info{name: "."}), nil}}, []vfs.Info{}, vfs.EIO},
		{"no name", []listing{{list(info{name: ""}), nil}}, []vfs.Info{}, vfs.EIO},
	} {
		base := &scripted{file: scriptedFile{info: dir, lists: c.lists}}
		got, err := vfs.FromAfero(base, vfs.Flags{}).ReadDir(vfstest.P(t, "dir"), nil)
		if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		wantNumber(t, c.name, err, c.number)
		if base.open != 0 {
			t.Errorf("%s: %d files left open", c.name, base.open)
		}
	}
}

func wantNumber(t *testing.T, name string, err error, number int) {
	t.Helper()
	var e *vfs.Error
	if number == 0 && err == nil {
		return
	}
	if !errors.As(err, &e) || e.Errno != number {
		t.Errorf("%s: error %v, want number %d", name, err, number)
	}
}

func TestBrokenEntry(t *testing.T) {
	base := &scripted{file: scriptedFile{
		info:  info{"dir", fs.ModeDir},
		lists: []listing{{[]fs.FileInfo{broken{info{name: "b"}, numbered(73)}}, nil}},
	}}
	got, err := vfs.FromAfero(base, vfs.Flags{}).ReadDir(vfstest.P(t, "dir"), nil)
	if err != nil || len(got) != 1 {
		t.Fatalf("ReadDir = %+v, %v", got, err)
	}
	var e *vfs.Error
	if !errors.As(got[0].Err, &e) {
		t.Fatalf("entry's error %v, want a *vfs.Error", got[0].Err)
	}
	if e.Op != "lstat" || e.Path.String() != "/dir/b" || e.Errno != 73 {
		t.Errorf("entry's error %v with number %d, want lstat of /dir/b with 73", e, e.Errno)
	}
	if got[0].Err = nil; got[0] != (vfs.Info{Name: "b"}) {
		t.Errorf("entry %+v, want only a name", got[0])
	}
}

func TestOpenAnswers(t *testing.T) {
	for _, c := range []struct {
		name string
		file scriptedFile
		want int // error number, 0 when it opens
	}{
		{"regular", scriptedFile{info: info{mode: 0o644}}, 0},
		{"directory", scriptedFile{info: info{mode: fs.ModeDir}}, vfs.EISDIR},
		{"link", scriptedFile{info: info{mode: fs.ModeSymlink}}, vfs.ELOOP},
		{"FIFO", scriptedFile{info: info{mode: fs.ModeNamedPipe}}, vfs.EINVAL},
		{"socket", scriptedFile{info: info{mode: fs.ModeSocket}}, vfs.EINVAL},
		{"block device", scriptedFile{info: info{mode: fs.ModeDevice}}, vfs.EINVAL},
		{"device", scriptedFile{info: full{info{mode: 0}}}, vfs.EINVAL},
		{"of no type", scriptedFile{info: info{mode: fs.ModeIrregular}}, vfs.EINVAL},
		{"no stat", scriptedFile{statErr: numbered(74)}, 74},
		{"no stat, no number", scriptedFile{statErr: errors.New("broken")}, vfs.EIO},
		{"gone", scriptedFile{statErr: fs.ErrNotExist}, vfs.ENOENT},
		{"denied", scriptedFile{statErr: fs.ErrPermission}, vfs.EACCES},
	} {
		base := &scripted{file: c.file}
		f, err := vfs.FromAfero(base, vfs.Flags{}).Open(vfstest.P(t, "file"))
		wantNumber(t, c.name, err, c.want)
		if err == nil {
			if err := f.Close(); err != nil {
				t.Errorf("%s: close: %v", c.name, err)
			}
		}
		if base.open != 0 {
			t.Errorf("%s: %d files left open", c.name, base.open)
		}
	}
}

// TestReadError holds a read error to come with the bytes before it and with
// the name of the file.
func TestReadError(t *testing.T) {
	base := &scripted{file: scriptedFile{info: info{mode: 0o644}, readErr: numbered(75)}}
	f, err := vfs.FromAfero(base, vfs.Flags{}).Open(vfstest.P(t, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.ReadAt(make([]byte, 10), 0)
	if want := `read "/file": number 75`; n != 3 || err == nil || err.Error() != want {
		t.Errorf("ReadAt = %d, %v, want 3, %s", n, err, want)
	}
	wantNumber(t, "read", err, 75)
}

// TestFlags holds the flags to be passed only where they are meant.
func TestFlags(t *testing.T) {
	base := &flags{}
	fsys := vfs.FromAfero(base, vfs.Flags{NoFollow: 1, NoAtime: 2})
	p := vfstest.P(t, "x")
	fsys.Open(p)
	fsys.ReadDir(p, nil)
	fsys.Lstat(p)
	fsys.Open(p.Follow())
	fsys.ReadDir(p.Follow(), nil)
	fsys.Lstat(p.Follow())
	fsys.Open(p.NoAtime())
	fsys.Open(p.Follow().NoAtime())
	want := []string{"open 1", "open 1", "lstat", "open 0", "open 0", "stat", "open 3", "open 2"}
	if diff := cmp.Diff(want, base.calls); diff != "" {
		t.Error(diff)
	}
}

// flags records how it is called and refuses.
type flags struct {
	afero.Fs
	calls []string
}

func (f *flags) OpenFile(name string, flag int, _ fs.FileMode) (afero.File, error) {
	f.calls = append(f.calls, fmt.Sprintf("open %d", flag))
	return nil, fs.ErrNotExist
}

func (f *flags) Stat(string) (fs.FileInfo, error) {
	f.calls = append(f.calls, "stat")
	return nil, fs.ErrNotExist
}

func (f *flags) LstatIfPossible(string) (fs.FileInfo, bool, error) {
	f.calls = append(f.calls, "lstat")
	return nil, true, fs.ErrNotExist
}
