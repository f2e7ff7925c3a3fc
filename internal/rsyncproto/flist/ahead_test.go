package flist

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// slowTree is a tree that takes its time to read a directory, and counts.
type slowTree struct {
	vfs.FS
	delay        time.Duration
	reading, max atomic.Int32 // directories being read, and the most at once
	read         atomic.Int32
}

func (s *slowTree) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	n := s.reading.Add(1)
	defer s.reading.Add(-1)
	s.max.Store(max(s.max.Load(), n)) // one runs at a time until it sleeps
	s.read.Add(1)
	time.Sleep(s.delay)
	return s.FS.ReadDir(p, buf)
}

const treeDirs = 1 + 10 + 100 // of deepTree

// deepTree has directories of three levels, each with three files.
func deepTree() *vfstest.Memory {
	tree := vfstest.NewMemory()
	files := func(dir string) {
		for _, name := range []string{"c", "a", "b"} {
			tree.Add(dir+name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: []byte(dir)})
		}
	}
	dir := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}}
	files("")
	for i := range 10 {
		outer := fmt.Sprintf("dir%d", (i*7)%10)
		tree.Add(outer, dir)
		files(outer + "/")
		for j := range 10 {
			inner := fmt.Sprintf("%s/sub%d", outer, (j*3)%10)
			tree.Add(inner, dir)
			files(inner + "/")
		}
	}
	return tree
}

// sendTree sends all lists and returns their bytes and the time it took.
func sendTree(t *testing.T, ctx context.Context, fs vfs.FS, incremental bool) ([]byte, time.Duration, error) {
	t.Helper()
	var out bytes.Buffer
	w := wire.NewWriter(&out)
	b := New(ctx, w, Options{
		Version: 32, FS: fs, Filters: &filter.List{}, Recurse: true, VarintFlags: true, Incremental: incremental,
		Report: func(p Problem) error { t.Errorf("problem %+v", p); return nil },
	})
	defer b.Close()
	start := time.Now()
	_, err := b.First(slices.Values([]Source{{Name: "."}}))
	for err == nil && b.More() {
		_, err = b.Next()
	}
	w.Flush()
	return out.Bytes(), time.Since(start), err
}

// What is read ahead changes nothing but the time.
func TestReadAhead(t *testing.T) {
	for _, incremental := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			fast := &slowTree{FS: deepTree()}
			want, _, err := sendTree(t, t.Context(), fast, incremental)
			if err != nil {
				t.Fatal(err)
			}
			if fast.max.Load() != 1 || fast.read.Load() != treeDirs {
				t.Errorf("fast storage: %d directories read, %d at once", fast.read.Load(), fast.max.Load())
			}
			slow := &slowTree{FS: deepTree(), delay: 10 * time.Millisecond}
			got, took, err := sendTree(t, t.Context(), slow, incremental)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("slow storage, incremental %t: other bytes, %v", incremental, err)
			}
			if n := slow.max.Load(); n < 4 || n > maxReadAhead+1 {
				t.Errorf("slow storage, incremental %t: %d directories read at once", incremental, n)
			}
			if one := treeDirs * slow.delay; took > one/3 {
				t.Errorf("slow storage, incremental %t: %v, one after the other takes %v", incremental, took, one)
			}
			if n := slow.read.Load(); n > treeDirs*3/2 {
				t.Errorf("slow storage, incremental %t: %d directories read for %d", incremental, n, treeDirs)
			}
		})
	}
}

// A session that ends leaves nothing behind.
func TestReadAheadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowTree{FS: deepTree(), delay: time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		if _, took, err := sendTree(t, ctx, slow, true); err == nil || took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if n := slow.reading.Load(); n != 0 {
			t.Errorf("%d directories are still being read", n)
		}
	})
}

// What waits to be sent is bounded by its entries too.
func TestReadAheadBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = maxReadEntries / 2
		tree := vfstest.NewMemory()
		var all []vfs.Path
		for i := range 10 {
			dir := fmt.Sprintf("dir%d", i)
			tree.Add(dir, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
			for j := range size {
				tree.Add(fmt.Sprintf("%s/%d", dir, j), vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular}})
			}
			all = append(all, vfstest.P(t, dir))
		}
		slow := &slowTree{FS: tree, delay: time.Second}
		r := readAhead{fs: slow}
		defer r.close()
		for i, p := range all {
			if _, err := r.ReadDir(p, slices.Values(all[i+1:])); err != nil {
				t.Fatal(err)
			}
			r.running.Wait()
			waiting := 0
			for _, l := range r.begun {
				waiting += len(l.infos)
			}
			if most := maxReadEntries + size; waiting > most {
				t.Errorf("%d entries wait to be sent, more than %d", waiting, most)
			}
		}
	})
}

// A directory that is read ahead takes the memory of one that was sent.
func TestReadAheadMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := vfstest.NewMemory()
		var all []vfs.Path
		for i := range 20 * maxReadAhead {
			dir := fmt.Sprintf("dir%d", i)
			tree.Add(dir, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
			tree.Add(dir+"/file", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular}})
			all = append(all, vfstest.P(t, dir))
		}
		r := readAhead{fs: &slowTree{FS: tree, delay: time.Second}}
		defer r.close()
		blocks := map[*vfs.Info]bool{}
		for i, p := range all {
			infos, err := r.ReadDir(p, slices.Values(all[i+1:]))
			if err != nil || len(infos) != 1 {
				t.Fatal(infos, err)
			}
			blocks[&infos[0]] = true
		}
		if n := len(blocks); n > maxReadAhead+2 {
			t.Errorf("%d directories in %d pieces of memory", len(all), n)
		}
	})
}

// bombTree panics in one directory.
type bombTree struct {
	slowTree
	bomb vfs.Path
}

func (b *bombTree) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	if p == b.bomb {
		panic("bomb")
	}
	return b.slowTree.ReadDir(p, buf)
}

// A panic in a directory that is read ahead reaches the session that wants it.
func TestReadAheadPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := vfstest.NewMemory()
		var all []vfs.Path
		for i := range 6 {
			dir := fmt.Sprintf("dir%d", i)
			tree.Add(dir, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
			all = append(all, vfstest.P(t, dir))
		}
		r := readAhead{fs: &bombTree{slowTree{FS: tree, delay: time.Second}, all[5]}}
		defer r.close()
		defer func() {
			if got := recover(); got != "bomb" {
				t.Errorf("recovered %v", got)
			}
		}()
		for i, p := range all {
			if _, err := r.ReadDir(p, slices.Values(all[i+1:])); err != nil {
				t.Fatal(err)
			}
		}
		t.Error("no panic")
	})
}
