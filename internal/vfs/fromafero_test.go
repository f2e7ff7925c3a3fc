package vfs_test

import (
	"io/fs"
	"testing"
	"time"

	"github.com/spf13/afero"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

func TestMemMapFs(t *testing.T) {
	vfstest.Test(t, vfstest.Can{}, func(t *testing.T, tree []vfstest.Entry) vfs.FS {
		mem := afero.NewMemMapFs()
		for _, e := range tree {
			build(t, mem, e)
		}
		for _, e := range tree { // after all entries, which change their directories
			at := time.Unix(e.Mtime.Sec, int64(e.Mtime.Nsec))
			if err := mem.Chtimes("/"+e.Name, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(mem, "/")), vfs.Flags{})
	})
}

func build(t *testing.T, mem afero.Fs, e vfstest.Entry) {
	t.Helper()
	var err error
	if e.Mode&vfs.ModeType == vfs.ModeDir {
		err = mem.Mkdir("/"+e.Name, 0)
	} else {
		err = afero.WriteFile(mem, "/"+e.Name, []byte(e.Data), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	mode := fs.FileMode(e.Mode & 0o777)
	for _, b := range []struct {
		from uint32
		to   fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if e.Mode&b.from != 0 {
			mode |= b.to
		}
	}
	if err := mem.Chmod("/"+e.Name, mode); err != nil {
		t.Fatal(err)
	}
}
