package vfstest

import (
	"strings"
	"testing"

	"rrserve/internal/vfs"
)

func (s *suite) testReadlink(t *testing.T) {
	for _, e := range s.tree {
		p := P(t, e.Name)
		got, err := s.fs.Readlink(p)
		if e.Mode&vfs.ModeType == link {
			if got != e.Data || err != nil {
				t.Errorf("Readlink(%q) = %q, %v, want %q", p, got, err, e.Data)
			}
			continue
		}
		wantError(t, err, "readlink", p, vfs.EINVAL)
	}
	_, err := s.fs.Readlink(vfs.Root())
	wantError(t, err, "readlink", vfs.Root(), vfs.EINVAL)
}

// testInside follows links that stay beneath the root.
func (s *suite) testInside(t *testing.T) {
	for name, want := range map[string]string{
		"to-file":                         "file",
		"chain7":                          "file",
		"dir/up":                          "file",
		"dir/winding":                     "dir/a/b/c",
		"to-dir":                          "dir/a",
		"to-dir/b/c":                      "dir/a/b/c",
		"dot":                             "/",
		"dot/dot/dot/dir":                 "dir",
		"dir/a/root":                      "/",
		"dir/a/root/dir/a/root/file":      "file",
		"to-dir/root/to-dir/root/to-file": "file",
	} {
		p := P(t, name).Follow()
		got, err := s.fs.Lstat(p)
		if err != nil {
			t.Error(err)
			continue
		}
		other, err := s.fs.Lstat(P(t, want))
		if err != nil || !got.SameFile(&other) || got.Mode != other.Mode || got.Size != other.Size {
			t.Errorf("%q leads to %+v, want %+v, %v", name, got, other, err)
		}
		if base := name[strings.LastIndexByte(name, '/')+1:]; got.Name != base {
			t.Errorf("%q is called %q, want %q", name, got.Name, base)
		}
		s.sameThrough(t, p, P(t, want), other)
	}
}

func (s *suite) sameThrough(t *testing.T, p, want vfs.Path, info vfs.Info) {
	t.Helper()
	if info.IsRegular() {
		if a, b := Content(t, s.fs, p), Content(t, s.fs, want); a != b {
			t.Errorf("%q: content %q, want %q", p, a, b)
		}
		return
	}
	a, err := s.fs.ReadDir(p, nil)
	b, err2 := s.fs.ReadDir(want, nil)
	if err != nil || err2 != nil || len(a) != len(b) {
		t.Errorf("ReadDir(%q): %d entries, %v; ReadDir(%q): %d entries, %v", p, len(a), err, want, len(b), err2)
	}
}

// testOutside follows links that lead out of the root, or nowhere.
func (s *suite) testOutside(t *testing.T) {
	for name, number := range map[string]int{
		"to-nothing":          vfs.ENOENT,
		"to-nothing/x":        vfs.ENOENT,
		"to-self":             vfs.ELOOP,
		"to-self/x":           vfs.ELOOP,
		"ring1":               vfs.ELOOP,
		"ring2/x":             vfs.ELOOP,
		"odd-link":            vfs.ENOENT,
		"to-file/x":           vfs.ENOTDIR,
		"out-up":              vfs.EXDEV,
		"out-up/x":            vfs.EXDEV,
		"out-secret":          vfs.EXDEV,
		"out-dir":             vfs.EXDEV,
		"out-dir/secret":      vfs.EXDEV,
		"out-etc":             vfs.EXDEV,
		"out-etc/passwd":      vfs.EXDEV,
		"out-root":            vfs.EXDEV,
		"out-root/etc/passwd": vfs.EXDEV,
		"out-deep":            vfs.EXDEV,
		"dir/a/out":           vfs.EXDEV,
		"out-chain":           vfs.EXDEV,
		"dir/a/root/out-up":   vfs.EXDEV,
		"to-out-dir/secret":   vfs.EXDEV,
	} {
		p := P(t, name).Follow()
		_, err := s.fs.Lstat(p)
		wantError(t, err, "lstat", p, number)
		_, err = s.fs.ReadDir(p, nil)
		wantError(t, err, "readdir", p, number)
		_, err = s.fs.Open(p)
		wantError(t, err, "open", p, number)
		s.wantNoXattrs(t, p, number)
	}
	// Without Follow a link in the middle is followed all the same.
	for _, name := range []string{"out-up/x", "out-dir/secret", "out-etc/passwd", "to-out-dir/secret"} {
		s.wantErrors(t, P(t, name), vfs.EXDEV)
	}
}

// testNoFollow opens links themselves.
func (s *suite) testNoFollow(t *testing.T) {
	for _, e := range s.tree {
		if e.Mode&vfs.ModeType != link {
			continue
		}
		p := P(t, e.Name)
		_, err := s.fs.Open(p)
		wantError(t, err, "open", p, vfs.ELOOP)
		_, err = s.fs.ReadDir(p, nil)
		wantError(t, err, "readdir", p, vfs.ELOOP)
	}
}

// testSpecial opens what would block.
func (s *suite) testSpecial(t *testing.T) {
	for _, p := range []vfs.Path{P(t, "fifo"), P(t, "fifo").Follow(), P(t, "to-fifo").Follow()} {
		_, err := s.fs.Open(p)
		wantError(t, err, "open", p, vfs.EINVAL)
		_, err = s.fs.ReadDir(p, nil)
		wantError(t, err, "readdir", p, vfs.EINVAL, vfs.ENOTDIR)
	}
}
