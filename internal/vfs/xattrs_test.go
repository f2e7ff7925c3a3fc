package vfs_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// attributed is a base whose answers about attributes are given.
type attributed struct {
	afero.Fs
	file afero.File
	err  error
	flag int // of the last OpenFile
}

func (a *attributed) OpenFile(_ string, flag int, _ fs.FileMode) (afero.File, error) {
	a.flag = flag
	return a.file, a.err
}

type attributedFile struct {
	afero.File
	names  []string
	value  []byte
	err    error
	closed int
}

func (f *attributedFile) ListXattr() ([]string, error)    { return f.names, f.err }
func (f *attributedFile) GetXattr(string) ([]byte, error) { return f.value, f.err }
func (f *attributedFile) Close() error                    { f.closed++; return nil }

// stack is what the program puts on a base.
func stack(base afero.Fs) vfs.FS {
	return vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(base, "/")), vfs.Flags{NoFollow: 1 << 17, Xattrs: 1 << 21})
}

func TestXattrAnswers(t *testing.T) {
	long := strings.Repeat("n", vfs.MaxXattrName)
	for _, c := range []struct {
		name   string
		file   attributedFile
		number int // of the error of Names
		value  int // of the error of Value
	}{
		{"two", attributedFile{names: []string{"user.b", long}, value: []byte("v")}, 0, 0},
		{"none", attributedFile{value: []byte{}}, 0, 0},
		{"no such attribute", attributedFile{err: numbered(vfs.ENODATA)}, vfs.ENODATA, vfs.ENODATA},
		{"no attributes", attributedFile{err: numbered(vfs.ENOTSUP)}, 0, vfs.ENODATA},
		{"denied", attributedFile{err: fs.ErrPermission}, vfs.EACCES, vfs.EACCES},
		{"empty name", attributedFile{names: []string{"a", ""}}, vfs.EIO, 0},
		{"NUL", attributedFile{names: []string{"a\x00b"}}, vfs.EIO, 0},
		{"long name", attributedFile{names: []string{long + "n"}}, vfs.EIO, 0},
		{"most names", attributedFile{names: slices.Repeat([]string{"a"}, vfs.MaxXattrs)}, 0, 0},
		{"too many names", attributedFile{names: slices.Repeat([]string{"a"}, vfs.MaxXattrs+1)}, vfs.EIO, 0},
		{"large value", attributedFile{value: make([]byte, vfs.MaxXattrValue+1)}, 0, vfs.EIO},
	} {
		base := &attributed{file: &c.file}
		x, err := stack(base).Xattrs(vfstest.P(t, "x"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		names, err := x.Names()
		wantNumber(t, c.name, err, c.number)
		if c.number == 0 && c.file.err == nil && !slices.Equal(names, c.file.names) {
			t.Errorf("%s: names %q", c.name, names)
		}
		value, err := x.Value("user.b")
		wantNumber(t, c.name, err, c.value)
		if err == nil && string(value) != string(c.file.value) {
			t.Errorf("%s: value %q", c.name, value)
		}
		if err := x.Close(); err != nil || c.file.closed != 1 {
			t.Errorf("%s: closed %d times, %v", c.name, c.file.closed, err)
		}
	}
}

func TestXattrsOpen(t *testing.T) {
	base := &attributed{file: &attributedFile{}}
	p := vfstest.P(t, "x")
	for want, p := range map[int]vfs.Path{1<<21 | 1<<17: p, 1 << 21: p.Follow()} {
		if x, err := stack(base).Xattrs(p); err != nil || x.Close() != nil || base.flag != want {
			t.Errorf("%+v: flag %#x, %v, want %#x", p, base.flag, err, want)
		}
	}
	base.err = &fs.PathError{Op: "open", Err: numbered(76)}
	_, err := stack(base).Xattrs(p)
	wantNumber(t, "refused", err, 76)
	plain := &scripted{file: scriptedFile{info: info{"x", 0}}}
	_, err = stack(plain).Xattrs(p)
	var e *vfs.Error
	if !errors.As(err, &e) || e.Errno != vfs.EIO || plain.open != 0 {
		t.Errorf("a base without attributes: %v, %d files left open", err, plain.open)
	}
}
