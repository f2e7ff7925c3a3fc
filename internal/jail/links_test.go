//go:build unix

package jail_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// linkTree has a root with absolute links, and a secret beside it. The root is
// reached through the link "named".
func linkTree(t *testing.T) (named string) {
	dir := t.TempDir()
	named = filepath.Join(dir, "named")
	real := filepath.Join(dir, "real")
	must(t, os.MkdirAll(filepath.Join(real, "dir/sub"), 0o755))
	must(t, os.Symlink("real", named))
	write(t, filepath.Join(real, "file"), "inside")
	write(t, filepath.Join(real, "dir/sub/file"), "inside")
	write(t, filepath.Join(dir, "secret"), vfstest.Secret)
	must(t, os.Mkdir(named+"-not", 0o755)) // a name that only begins like the root's
	write(t, filepath.Join(named+"-not", "file"), vfstest.Secret)
	for name, text := range map[string]string{
		"as-named":    named + "/file",
		"as-real":     real + "/file",
		"to-root":     named,
		"to-root/":    real + "//",
		"spelled":     "/." + strings.ReplaceAll(named, "/", "//") + "/./dir/../file",
		"to-dir":      named + "/dir/",
		"dir/to-link": named + "/to-dir/sub",
		"dir/sub/up":  "../to-link/../../as-real",
		"to-file/":    named + "/file/",
		"to-file/x":   named + "/file/x",
		"to-file/..":  named + "/file/../file",
		"to-nothing":  named + "/nothing",
		"to-self":     named + "/to-self",
		"out":         named + "/../secret",
		"out-dots":    dir + "/x/../named/file",
		"out-beside":  named + "-not/file",
		"out-above":   dir,
		"out-secret":  dir + "/secret",
		"out-later":   named + "/dir/../../secret",
		"out-twice":   named + "/out-secret",
	} {
		must(t, os.Symlink(text, filepath.Join(real, linkName(name))))
	}
	for i := range 50 {
		must(t, os.Symlink(fmt.Sprintf("%s/chain%d", named, i+1), filepath.Join(real, fmt.Sprintf("chain%d", i))))
	}
	must(t, os.Symlink("file", filepath.Join(real, "chain50")))
	return named
}

// linkName is the file name of a link whose key in a table has a slash that is
// no separator.
func linkName(key string) string {
	if strings.HasPrefix(key, "dir/") {
		return key
	}
	return strings.ReplaceAll(key, "/", "|")
}

// TestAbsoluteLinks follows links whose text is an absolute path.
func TestAbsoluteLinks(t *testing.T) {
	named := linkTree(t)
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		fsys := view(t, named, kind)
		for name, want := range map[string]string{
			"as-named":             "file",
			"as-real":              "file",
			"to-root":              "/",
			"to-root|":             "/",
			"to-root/dir":          "dir",
			"to-root/to-root/file": "file",
			"spelled":              "file",
			"to-dir":               "dir",
			"to-dir/sub/file":      "dir/sub/file",
			"dir/to-link":          "dir/sub",
			"dir/to-link/file":     "dir/sub/file",
			"dir/sub/up":           "file",
			"to-dir/sub/up":        "file",
			"chain11":              "file", // 40 links
		} {
			for _, p := range []vfs.Path{vfstest.P(t, name).Follow(), vfstest.P(t, name)} {
				if !p.Follows() && linksLast(name) {
					continue
				}
				got, err := fsys.Lstat(p)
				other, _ := fsys.Lstat(vfstest.P(t, want))
				if err != nil || !got.SameFile(&other) {
					t.Errorf("%q leads to %+v, %v, want %s", name, got, err, want)
				}
				if base := name[strings.LastIndexByte(name, '/')+1:]; got.Name != base {
					t.Errorf("%q is called %q, want %q", name, got.Name, base)
				}
				sees(t, fsys, p, other.IsDir())
			}
		}
	})
}

// linksLast reports whether the last component of a name of the table is a
// link itself.
func linksLast(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return base != "file" && base != "dir"
}

func sees(t *testing.T, fsys vfs.FS, p vfs.Path, isDir bool) {
	t.Helper()
	if isDir {
		if list, err := fsys.ReadDir(p, nil); err != nil || len(list) == 0 {
			t.Errorf("ReadDir(%q): %d entries, %v", p, len(list), err)
		}
		return
	}
	if got := vfstest.Content(t, fsys, p); got != "inside" {
		t.Errorf("%q has %q", p, got)
	}
}

// TestAbsoluteLinksOut follows absolute links that lead nowhere or out.
func TestAbsoluteLinksOut(t *testing.T) {
	named := linkTree(t)
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, named, kind)
		for name, want := range map[string]error{
			"to-file|":          syscall.ENOTDIR,
			"to-file|x":         syscall.ENOTDIR,
			"to-file|..":        syscall.ENOTDIR,
			"as-named/x":        syscall.ENOTDIR,
			"to-nothing":        syscall.ENOENT,
			"to-root/nothing":   syscall.ENOENT,
			"to-self":           syscall.ELOOP,
			"chain0":            syscall.ELOOP,
			"chain10":           syscall.ELOOP, // 41 links
			"out":               syscall.EXDEV,
			"out-dots":          syscall.EXDEV,
			"out-beside":        syscall.EXDEV,
			"out-above":         syscall.EXDEV,
			"out-above/secret":  syscall.EXDEV,
			"out-secret":        syscall.EXDEV,
			"out-later":         syscall.EXDEV,
			"out-twice":         syscall.EXDEV,
			"to-root/out":       syscall.EXDEV,
			"to-root/out-twice": syscall.EXDEV,
		} {
			_, err := root.Stat(name)
			if !errors.Is(err, want) {
				t.Errorf("Stat(%q): %v, want %v", name, err, want)
			}
			if _, err = root.Open(name); !errors.Is(err, want) {
				t.Errorf("Open(%q): %v, want %v", name, err, want)
			}
		}
		// The link itself is there, also behind others.
		for _, name := range []string{"out", "to-root/out", "to-dir/sub/up", "to-root/to-root"} {
			if i, _, err := root.LstatIfPossible(name); err != nil || i.Mode().Type() != os.ModeSymlink {
				t.Errorf("Lstat(%q): %v, %v, want a link", name, i, err)
			}
			if text, err := root.ReadlinkIfPossible(name); err != nil || text == "" {
				t.Errorf("Readlink(%q): %q, %v", name, text, err)
			}
			if _, err := root.OpenFile(name, jail.NoFollow, 0); !errors.Is(err, syscall.ELOOP) {
				t.Errorf("OpenFile(%q): %v, want %v", name, err, syscall.ELOOP)
			}
		}
	})
}

// TestManySteps bounds what a name in a hostile tree costs.
func TestManySteps(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	write(t, filepath.Join(dir, "file"), "inside")
	must(t, os.Symlink(dir+strings.Repeat("/d/..", 200)+"/file", filepath.Join(dir, "long")))
	must(t, os.Symlink(dir+strings.Repeat("/d/..", 600)+"/l2", filepath.Join(dir, "l1")))
	must(t, os.Symlink(dir+strings.Repeat("/d/..", 600)+"/file", filepath.Join(dir, "l2")))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		root := open(t, dir, kind)
		if _, err := root.Stat("long"); err != nil {
			t.Error(err)
		}
		if _, err := root.Stat("l1"); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("%v, want %v", err, syscall.ELOOP)
		}
	})
}

// TestFlippedRoot flips the link that is the root: an absolute link names the
// session's own tree by the name of the root, and not by that of the other.
func TestFlippedRoot(t *testing.T) {
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		dir := t.TempDir()
		newest := filepath.Join(dir, "newest")
		for _, snapshot := range []string{"1", "2"} {
			in := filepath.Join(dir, snapshot)
			must(t, os.Mkdir(in, 0o755))
			write(t, filepath.Join(in, "which"), snapshot)
			must(t, os.Symlink(newest+"/which", filepath.Join(in, "as-named")))
			must(t, os.Symlink(filepath.Join(dir, "2", "which"), filepath.Join(in, "to-2")))
		}
		must(t, os.Symlink("1", newest))
		root := open(t, newest, kind)
		must(t, os.Remove(newest))
		must(t, os.Symlink("2", newest))
		f, err := root.Open("as-named")
		must(t, err)
		defer f.Close()
		b := make([]byte, 2)
		if n, _ := f.Read(b); string(b[:n]) != "1" {
			t.Errorf("the session sees snapshot %q, want 1", b[:n])
		}
		if _, err := root.Open("to-2"); !errors.Is(err, syscall.EXDEV) {
			t.Errorf("the link to the other snapshot: %v, want %v", err, syscall.EXDEV)
		}
	})
}

// TestWholeTree serves "/", below which every absolute link lies.
func TestWholeTree(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "inside")
	must(t, os.Symlink(dir+"/file", filepath.Join(dir, "link")))
	everyBackend(t, func(t *testing.T, kind jail.Backend) {
		if got := vfstest.Content(t, view(t, "/", kind), vfstest.P(t, dir+"/link").Follow()); got != "inside" {
			t.Errorf("content %q", got)
		}
	})
}
