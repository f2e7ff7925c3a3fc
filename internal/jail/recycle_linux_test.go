package jail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"rrserve/internal/jail"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// Listings share memory that was given back. One that is still in use must not
// see the others.
func TestListingsApart(t *testing.T) {
	dir := t.TempDir()
	sizes := []int{0, 1, 7, 300, 1500}
	for _, n := range sizes {
		d := filepath.Join(dir, fmt.Sprint(n))
		must(t, os.Mkdir(d, 0o755))
		for i := range n {
			write(t, filepath.Join(d, fmt.Sprintf("%d-%d", n, i)), fmt.Sprintf("%0*d", i%50, 0))
		}
	}
	fsys := view(t, dir, jail.Openat2)
	list := func(n int, buf []vfs.Info) []vfs.Info {
		infos, err := fsys.ReadDir(vfstest.P(t, fmt.Sprint(n)), buf)
		if err != nil || len(infos) != n {
			t.Errorf("%d entries of %d, %v", len(infos), n, err)
		}
		return infos
	}
	var all sync.WaitGroup
	for _, n := range sizes {
		want := list(n, nil)
		all.Go(func() {
			var buf []vfs.Info
			for range 50 {
				if buf = list(n, buf); !slices.Equal(buf, want) {
					t.Errorf("a listing of %d entries changed", n)
				}
			}
		})
	}
	all.Wait()
}
