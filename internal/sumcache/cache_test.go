package sumcache

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"rrserve/internal/rsyncproto/checksum"
)

func open(t *testing.T, path string) *Cache {
	t.Helper()
	c, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// file is the identity of one of any number of files.
func file(n int) checksum.Identity {
	return checksum.Identity{Dev: 1, Ino: uint64(n), Size: 1000, Mtime: 1, Ctime: 2, Algorithm: checksum.XXH128}
}

func sumOf(n int) []byte { return []byte(fmt.Sprintf("%016d", n)) }

func TestCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sums")
	c := open(t, path)
	c.ReadAs("uid 1")
	for n := range 3 {
		c.Store(file(n), sumOf(n))
	}
	md5 := file(0)
	md5.Algorithm = checksum.MD5
	c.Store(md5, []byte("of the same file"))
	newer := file(1)
	newer.Ctime, newer.Size = 3, 1001
	c.Store(newer, sumOf(10))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Error(info.Mode(), err)
	}
	c = open(t, path)
	c.ReadAs("uid 1")
	changed := func(change func(*checksum.Identity)) checksum.Identity {
		id := file(2)
		change(&id)
		return id
	}
	for _, tt := range []struct {
		name string
		id   checksum.Identity
		want []byte
	}{
		{"remembered", file(0), sumOf(0)},
		{"other algorithm", md5, []byte("of the same file")},
		{"replaced", file(1), nil},
		{"newer", newer, sumOf(10)},
		{"other device", changed(func(id *checksum.Identity) { id.Dev++ }), nil},
		{"other inode", changed(func(id *checksum.Identity) { id.Ino++ }), nil},
		{"other size", changed(func(id *checksum.Identity) { id.Size++ }), nil},
		{"other mtime", changed(func(id *checksum.Identity) { id.Mtime++ }), nil},
		{"other ctime", changed(func(id *checksum.Identity) { id.Ctime++ }), nil},
		{"none of this algorithm", changed(func(id *checksum.Identity) { id.Algorithm = checksum.SHA1 }), nil},
		{"unchanged", file(2), sumOf(2)},
	} {
		if got, ok := c.Lookup(tt.id); !bytes.Equal(got, tt.want) || ok != (tt.want != nil) {
			t.Errorf("%s: %q, %t, want %q", tt.name, got, ok, tt.want)
		}
	}
}

// What one process could read is not told to another.
func TestReaders(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "sums"))
	c.ReadAs("root")
	c.Store(file(1), sumOf(1))
	c.Flush()
	c.ReadAs("nobody")
	if sum, ok := c.Lookup(file(1)); ok {
		t.Errorf("nobody was told %q", sum)
	}
	c.ReadAs("root")
	if _, ok := c.Lookup(file(1)); !ok {
		t.Error("root was not")
	}
}

// Checksums that nobody asks for go, the others stay.
func TestGenerations(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "sums"))
	c.most = 100
	c.Store(file(0), sumOf(0))
	for n := 1; n < 1000; n++ {
		c.Store(file(n), sumOf(n))
		if n%30 == 0 {
			c.Flush()
			if sum, ok := c.Lookup(file(0)); !ok || !bytes.Equal(sum, sumOf(0)) {
				t.Errorf("after %d: %q, %t", n, sum, ok)
			}
		}
	}
	c.Flush()
	found := 0
	for n := range 1000 {
		if _, ok := c.Lookup(file(n)); ok {
			found++
		}
	}
	if found < 100 || found > 200 {
		t.Errorf("%d are remembered", found)
	}
	c.db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(top).Stats().BucketN - 1; n != 2 {
			t.Errorf("%d generations", n)
		}
		return nil
	})
}

// Two generations of files in no order fit into the file.
func TestSize(t *testing.T) {
	const files = 50_000
	path := filepath.Join(t.TempDir(), "sums")
	c := open(t, path)
	c.db.NoSync = true
	r := rand.New(rand.NewPCG(1, 2))
	for range files {
		id := file(int(r.Uint32()))
		id.Algorithm = checksum.SHA1 // the longest
		c.Store(id, make([]byte, checksum.MaxSize))
	}
	c.Flush()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if most := info.Size() * 2 * maxGeneration / files; most > MaxSize*9/10 {
		t.Errorf("%d bytes a file, %d in all; the bound is %d", info.Size()/files, most, MaxSize)
	}
	t.Logf("%d bytes a file", info.Size()/files)
}

// A record that was damaged is none.
func TestRecordDamaged(t *testing.T) {
	k := newKey(1, file(1))
	r := newRecord(k, file(1), sumOf(1))
	if !bytes.Equal(r.sum(k, file(1)), sumOf(1)) {
		t.Fatal("a whole record is not known")
	}
	for i := range r {
		r[i] ^= 1
		if sum := r.sum(k, file(1)); sum != nil {
			t.Errorf("byte %d: %q", i, sum)
		}
		r[i] ^= 1
	}
	for n := range r {
		if sum := r[:n].sum(k, file(1)); sum != nil {
			t.Errorf("%d bytes: %q", n, sum)
		}
	}
	if sum := r.sum(newKey(1, file(2)), file(1)); sum != nil {
		t.Errorf("under another key: %q", sum)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := filepath.Join(dir, "good")
	c := open(t, good)
	c.Store(file(1), sumOf(1))
	c.Flush()
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	garbage := bytes.Clone(data)
	for i := 2 * os.Getpagesize(); i < len(garbage); i++ {
		garbage[i] = 0xff
	}
	endless := bytes.Clone(data)
	for page := 2 * os.Getpagesize(); page < len(endless); page += os.Getpagesize() {
		copy(endless[page+12:], "\xff\xff\xff\x7f") // pages that belong to this one
	}
	foreign := filepath.Join(dir, "foreign")
	db, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
	db.Close()
	cases := []struct{ name, path, want string }{
		{"in use", good, "in use by another server"},
		{"text", write("text", bytes.Repeat([]byte("text\n"), 10_000)), "damaged, or not a file of checksums ("},
		{"another database", foreign, "damaged, or not a file of checksums ("},
		{"pages lost", write("garbage", garbage), "delete it, or name another one"},
		{"page without end", write("endless", endless), "goes on for 2147483647 more"},
		{"cut off", write("short", data[:2*os.Getpagesize()]), "delete it, or name another one"},
		{"no such directory", dir + "/none/sums", "no such file or directory"},
	}
	for _, c := range cases {
		if other, err := Open(c.path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
			if err == nil {
				other.Close()
			}
		}
	}
	for _, c := range cases[1:] {
		path := c.path
		if data, err := os.ReadFile(path); err == nil { // a damaged one stays locked by this process
			path = write("copy of "+c.name, data)
		}
		if err := Check(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, checked: %v, want %q", c.name, err, c.want)
		}
	}
	if err := Check(good); err != nil {
		t.Errorf("in use, checked: %v", err)
	}
	if now, err := os.ReadFile(good); err != nil || !bytes.Equal(now, data) {
		t.Errorf("Check changed the file: %v", err)
	}
}

// A database that breaks while the server runs costs its sessions nothing.
func TestBreaksInService(t *testing.T) {
	for name, harm := range map[string]func(f *os.File, size int64) error{
		"overwritten": func(f *os.File, size int64) error {
			_, err := f.WriteAt(bytes.Repeat([]byte{0xff}, int(size)), 0)
			return err
		},
		"cut off": func(f *os.File, _ int64) error { return f.Truncate(0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sums")
			var text bytes.Buffer
			c, err := Open(path, slog.New(slog.NewTextHandler(&text, nil)))
			if err != nil {
				t.Fatal(err)
			}
			for n := range 10_000 {
				c.Store(file(n), sumOf(n))
			}
			c.Flush()
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := harm(f, info.Size()); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					for n := range 1000 {
						if sum, ok := c.Lookup(file(n)); ok {
							t.Errorf("found %q", sum)
						}
						c.Store(file(n+i), sumOf(n))
						c.Flush()
					}
				})
			}
			all.Wait()
			if n := strings.Count(text.String(), "the checksum cache is damaged and not used any more"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, text.String())
			}
		})
	}
}

func TestConcurrent(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "sums"))
	c.db.NoSync = true
	c.most = 2000
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 2000 {
				c.Store(file(n), sumOf(n))
				if sum, ok := c.Lookup(file(n * 7 % 2000)); ok && !bytes.Equal(sum, sumOf(n*7%2000)) {
					t.Errorf("%d: %q", n, sum)
				}
				if n%100 == i {
					c.Flush()
				}
			}
		})
	}
	all.Wait()
}
