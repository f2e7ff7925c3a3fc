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

// slowSums takes time for each checksum and makes one of the name.
type slowSums struct {
	delay       time.Duration
	slow        bool
	bomb        string
	running     atomic.Int32
	max, number atomic.Int32
}

func (s *slowSums) Slow() bool { return s.slow }

func (s *slowSums) Sum(ctx context.Context, p vfs.Path, in *vfs.Info) []byte {
	if p.Base() == s.bomb {
		panic("bomb")
	}
	n := s.running.Add(1)
	defer s.running.Add(-1)
	s.max.Store(max(s.max.Load(), n)) // one runs at a time until it sleeps
	s.number.Add(1)
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return nil
	}
	if in.Name == "unreadable" {
		return nil
	}
	return []byte(fmt.Sprintf("%-16.16s", p.String()))
}

// sumTree has a directory of files of many sizes, an unreadable one, one that a
// rule leaves out, and a link; the names are not in the order of the listing.
func sumTree(files int) *vfstest.Memory {
	tree := vfstest.NewMemory()
	for i := range files {
		size := int64(1000)
		if i%10 == 0 {
			size = 1 << 20
		}
		tree.Add(fmt.Sprintf("%04d", (i*7)%files), vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644, Size: size}})
	}
	tree.Add("unreadable", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular, Size: 1 << 20}})
	tree.Add("excluded", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular, Size: 1 << 20}})
	tree.Add("link", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "0000"})
	tree.Add("dir", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
	tree.Add("dir/small", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644, Size: 10}})
	return tree
}

func sendSums(t *testing.T, ctx context.Context, fs vfs.FS, sums Summer, sources ...string) ([]byte, error) {
	t.Helper()
	l, err := filter.Read(wire.NewReader(bytes.NewReader([]byte("\x0a\x00\x00\x00- excluded\x00\x00\x00\x00"))), 32)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := wire.NewWriter(&out)
	b := New(ctx, w, Options{
		Version: 32, FS: fs, Filters: l, Recurse: true, Links: true, VarintFlags: true, Incremental: true,
		Sums: sums, SumLen: 16,
		Report: func(p Problem) error { t.Errorf("problem %+v", p); return nil },
	})
	defer b.Close()
	_, err = b.First(func(yield func(Source) bool) {
		for _, name := range sources {
			if !yield(Source{Name: name}) {
				return
			}
		}
	})
	for err == nil && b.More() {
		_, err = b.Next()
	}
	w.Flush()
	return out.Bytes(), err
}

// Checksums that are computed ahead change nothing but the time.
func TestSumsAhead(t *testing.T) {
	const files = 3 * maxSumAhead
	var want []byte
	for _, slow := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			sums := &slowSums{delay: time.Millisecond, slow: slow}
			began := time.Now()
			got, err := sendSums(t, t.Context(), sumTree(files), sums, ".")
			took := time.Since(began)
			if err != nil || sums.number.Load() != files+2 {
				t.Errorf("slow %t: %d checksums, %v", slow, sums.number.Load(), err)
			}
			switch n, one := sums.max.Load(), (files+2)*sums.delay; {
			case slow && (n != 1 || took < one):
				t.Errorf("slow storage: %d files at once, %v", n, took)
			case !slow && (n < 2 || n > maxSummers || took > one*2/3):
				t.Errorf("%d files at once, %v; one after the other takes %v", n, took, one)
			}
			if slow {
				want = got
			} else if !bytes.Equal(got, want) {
				t.Error("other bytes")
			}
		})
	}
	if !bytes.Contains(want, []byte("/0000           ")) || bytes.Contains(want, []byte("/excluded")) {
		t.Errorf("sent %.200q...", want)
	}
}

// The same for files that are sources, with directories and names between them
// of which there is no checksum.
func TestSumsOfSources(t *testing.T) {
	const files = 2 * maxSourcesAhead
	var sources []string
	for i := range files {
		sources = append(sources, fmt.Sprintf("%04d", i))
		switch i {
		case 10:
			sources = append(sources, "dir", "link", "./unreadable")
		case 20:
			sources = append(sources, "excluded", "dir/", ".//dir/small")
		}
	}
	var want []byte
	for _, slow := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			sums := &slowSums{delay: time.Millisecond, slow: slow}
			began := time.Now()
			got, err := sendSums(t, t.Context(), sumTree(files), sums, sources...)
			const all = files + 1 + 3 // with the unreadable one, and dir/small three times
			if err != nil || sums.number.Load() != all {
				t.Errorf("slow %t: %d checksums, want %d, %v", slow, sums.number.Load(), all, err)
			}
			if n, took := sums.max.Load(), time.Since(began); !slow && (n < 2 || n > maxSummers || took > all*sums.delay*2/3) {
				t.Errorf("%d files at once, %v", n, took)
			}
			if slow {
				want = got
			} else if !bytes.Equal(got, want) {
				t.Error("other bytes")
			}
		})
	}
}

// The client gets a list before the next one is done, when that takes long.
func TestSumsFlush(t *testing.T) {
	tree := vfstest.NewMemory()
	for i := range 3 {
		dir := fmt.Sprintf("dir%d", i)
		tree.Add(dir, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}})
		tree.Add(dir+"/large", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular, Size: sumFlush}})
	}
	var out bytes.Buffer
	b := New(t.Context(), wire.NewWriter(&out), Options{
		Version: 32, FS: tree, Filters: &filter.List{}, Recurse: true, VarintFlags: true, Incremental: true,
		Sums: new(slowSums), SumLen: 16,
		Report: func(p Problem) error { t.Errorf("problem %+v", p); return nil },
	})
	defer b.Close()
	_, err := b.First(slices.Values([]Source{{Name: "."}}))
	for sent := out.Len(); err == nil && b.More(); sent = out.Len() {
		var l *List
		if l, err = b.Next(); l != nil && out.Len() == sent {
			t.Error("a list was held back")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Files that are read in no time are left to the goroutine that sends.
func TestSumsOfLittle(t *testing.T) {
	sums := new(slowSums)
	b := New(t.Context(), wire.NewWriter(new(bytes.Buffer)), Options{
		Version: 32, FS: deepTree(), Filters: &filter.List{}, Recurse: true, Sums: sums, SumLen: 16,
		Report: func(p Problem) error { t.Errorf("problem %+v", p); return nil },
	})
	defer b.Close()
	if _, err := b.First(slices.Values([]Source{{Name: "."}})); err != nil || sums.number.Load() != 3*treeDirs || b.sums.queue != nil {
		t.Errorf("%d checksums, goroutines %t, %v", sums.number.Load(), b.sums.queue != nil, err)
	}
}

// A session that ends leaves nothing behind.
func TestSumsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sums := &slowSums{delay: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := sendSums(t, ctx, sumTree(100), sums, "."); err == nil || time.Since(began) > 2*time.Second || sums.running.Load() != 0 {
			t.Errorf("%v after %v, %d are still computed", err, time.Since(began), sums.running.Load())
		}
	})
}

// A panic in a checksum that is computed ahead reaches the session that wants it.
func TestSumsPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if got := recover(); got != "bomb" {
				t.Errorf("recovered %v", got)
			}
		}()
		sendSums(t, t.Context(), sumTree(100), &slowSums{delay: time.Millisecond, bomb: "0042"}, ".")
		t.Error("no panic")
	})
}
