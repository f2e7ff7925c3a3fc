package test

import (
	"encoding/binary"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// settled is a directory of many files that have not changed for a while: the
// server remembers no others. It is a module that the server is built from.
func settled(t *testing.T) (dir string, files int) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/text").Output()
	check(t, err)
	dir = strings.TrimSpace(string(out))
	var newest time.Time
	check(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			return err
		}
		if changed := time.Unix(st.Ctim.Unix()); changed.After(newest) {
			newest = changed
		}
		if st.Size > 0 {
			files++
		}
		return nil
	}))
	if files < 200 {
		t.Fatalf("%d files in %s", files, dir)
	}
	time.Sleep(time.Until(newest.Add(65 * time.Second))) // only where it was downloaded just now
	return dir, files
}

var sumCounts = regexp.MustCompile(`sent=(\d+) .* sums_computed=(\d+) sums_remembered=(\d+) sums_verified=(\d+) sums_differing=(\d+)`)

// lastSums returns the counts that the server logged last: files sent, and
// checksums computed, remembered, verified and differing.
func lastSums(t *testing.T, s *rrtest.Server) (n [5]int) {
	t.Helper()
	all := sumCounts.FindAllStringSubmatch(s.Log(), -1)
	if len(all) == 0 {
		t.Fatalf("no counts of checksums in\n%s", s.Log())
	}
	for i, text := range all[len(all)-1][1:] {
		n[i], _ = strconv.Atoi(text)
	}
	return n
}

// TestChecksumCache pulls with -c: the second time the server reads next to
// nothing, also after a restart, and what it calls of the kernel only writes to the
// cache. Then all that it remembers is falsified, as if all files had rotted.
func TestChecksumCache(t *testing.T) {
	src, files := settled(t)
	dst, cache := rrtest.TempDir(t), filepath.Join(rrtest.TempDir(t), "sums")
	trace := filepath.Join(rrtest.TempDir(t), "trace")
	withCache := rrtest.WithArgs("--checksum-cache", cache)

	pull := func(s *rrtest.Server) {
		t.Helper()
		res := rrtest.Run(t, s, dst, "-rtc", "rr:")
		s.Stop() // what became of a session is logged after its client has gone
		if res.Code != 0 || res.Stderr != "" {
			t.Fatal(res)
		}
		sameContents(t, src, dst)
	}
	s := rrtest.Rrserve(t, src, withCache, rrtest.Under("strace", "-D", "-f", "-qq", "-s", "256", "-o", trace))
	pull(s)
	if n := lastSums(t, s); n != [5]int{n[0], n[1], 0, 0, 0} || n[0] < files || n[1] < files {
		t.Errorf("%d files, counted %v", files, n)
	}
	if seen := tracedHarmless(t, trace, "msg=listening"); seen["pwrite64"] == 0 || seen["fdatasync"] == 0 {
		t.Errorf("nothing was saved: %v", seen)
	}
	s = rrtest.Rrserve(t, src, withCache)
	pull(s)
	if n := lastSums(t, s); n[0] != 0 || n[2] < files*9/10 || n[2]+n[3] != files || n[4] != 0 {
		t.Errorf("again: %d files, counted %v", files, n)
	}

	falsify(t, cache)
	for deadline := time.Now().Add(rrtest.RunTimeout); ; {
		s = rrtest.Rrserve(t, src, withCache)
		pull(s)
		n := lastSums(t, s)
		if n[3] != n[4] || n[0] == 0 {
			t.Fatalf("falsified: %d files, counted %v", files, n)
		}
		if n[4] > 0 {
			break // almost always in the first pull
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was compared")
		}
	}
	if !regexp.MustCompile(`level=WARN msg="possible bit rot: .*file=/\S+ key=`).MatchString(s.Log()) {
		t.Errorf("no word of bit rot in\n%s", s.Log())
	}
}

// sameContents compares what is in files.
func sameContents(t *testing.T, src, dst string) {
	t.Helper()
	if out, err := exec.Command("diff", "-r", src, dst).CombinedOutput(); err != nil {
		t.Fatalf("diff -r: %v\n%.1000s", err, out)
	}
}

// falsify changes every checksum in a cache (see internal/sumcache/record.go).
func falsify(t *testing.T, cache string) {
	t.Helper()
	db, err := bbolt.Open(cache, 0o600, &bbolt.Options{Timeout: time.Second})
	check(t, err)
	defer db.Close()
	check(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, top *bbolt.Bucket) error {
			return top.ForEachBucket(func(name []byte) error {
				generation := top.Bucket(name)
				return generation.ForEach(func(key, record []byte) error {
					body := append([]byte{}, record[:len(record)-8]...)
					body[len(body)-1]++
					hash := xxhash.Sum64(append(append([]byte{}, key...), body...))
					return generation.Put(append([]byte{}, key...), binary.BigEndian.AppendUint64(body, hash))
				})
			})
		})
	}))
}

// TestChecksumCacheRefused starts servers with a cache that they cannot use.
func TestChecksumCacheRefused(t *testing.T) {
	dir := rrtest.TempDir(t)
	src := dir + "/src"
	check(t, os.MkdirAll(src+"/sub", 0o755))
	check(t, os.Symlink("src/sub", dir+"/link"))
	check(t, os.WriteFile(dir+"/open", nil, 0o644))
	check(t, os.Chmod(dir+"/open", 0o644))
	check(t, os.WriteFile(dir+"/text", []byte(strings.Repeat("text\n", 1000)), 0o600))
	s := rrtest.Rrserve(t, src, rrtest.WithArgs("--checksum-cache", dir+"/used"))
	defer s.Stop()
	for path, want := range map[string]string{
		src + "/sums":      "which is served",
		dir + "/link/sums": "which is served",
		dir + "/open":      "mode 0644 is too open; allowed is 0600",
		dir + "/text":      "damaged, or not a file of checksums",
		dir + "/used":      "in use by another server",
		dir + "/none/sums": "no such file or directory",
		src:                "not a regular file",
	} {
		if why := startRefused(t, src, rrtest.WithArgs("--checksum-cache", path)); !strings.Contains(why, "--checksum-cache "+path+": ") || !strings.Contains(why, want) {
			t.Errorf("%s: no %q in %s", path, want, why)
		}
	}
}
