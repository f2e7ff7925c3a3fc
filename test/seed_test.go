package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// TestSeedJob is the main job as a new user does it: pull a large odd tree,
// pull it again, edit it, pull once more.
func TestSeedJob(t *testing.T) {
	src := rrtest.ScratchDir(t) + "/src"
	dst := rrtest.ScratchDir(t) + "/dst"
	rrtest.RichTree(t, src)
	check(t, rrtest.SmallFiles(src+"/many", smallFiles))
	tr := rrtest.NewTree(t, src+"/large")
	tr.File("30MB", rrtest.Noise(30, 30_000_000))
	tr.Sparse("sparse", sparseSize, sparseSize*4/5, "an island far out")
	tr.Done()
	check(t, rrtest.AgeTree(src+"/many"))
	// Clients compare whole seconds: the top must not be as new as its copy.
	old := time.Date(2021, 1, 2, 3, 4, 5, 6, time.UTC)
	check(t, os.Chtimes(src, old, old))
	client := rrtest.Client{Server: rrtest.UnderTest(t, src), Timeout: 10 * time.Minute}
	pull := func() rrtest.Result {
		t.Helper()
		res := client.Run(t, "-aHS", "--numeric-ids", "--delete", "--stats", "rr:", dst)
		if res.Code != 0 || res.Stderr != "" {
			t.Fatal(res)
		}
		rrtest.Compare(t, src, dst, rrtest.Aspects{Links: true})
		return res
	}

	pull()
	again := pull()
	for _, line := range []string{"Number of created files", "Number of deleted files", "Number of regular files transferred", "Literal data"} {
		if n := stat(t, again, line); n != 0 {
			t.Errorf("second run: %s: %d, want 0", line, n)
		}
	}

	editLarge(t, src)
	delta := pull()
	if n := stat(t, delta, "Matched data"); n < 25_000_000 {
		t.Errorf("after edits in a file of 30 MB only %d bytes were matched\n%s", n, delta.Stdout)
	}
	if n := stat(t, delta, "Number of regular files transferred"); n != 2 {
		t.Errorf("%d files transferred, want the edited one and the new one", n)
	}
	if n := stat(t, delta, "Number of deleted files"); n != 251 {
		t.Errorf("%d files deleted, want the removed directory and its 250", n)
	}
}

// editLarge overwrites, inserts and truncates within a large file, adds a file
// and removes a directory of 250.
func editLarge(t *testing.T, src string) {
	t.Helper()
	e := editor{t, src}
	text := e.read("large/30MB")
	text = text[:5_000_000] + "inserted" + text[5_000_000:10_000_000] + "OVERWRITTEN" + text[10_000_011:20_000_000] +
		text[20_100_000:28_000_000]
	e.write("large/30MB", text, time.Now())
	e.write("many/new", "new\n", time.Now())
	e.remove("many/d00/e000")
	// A client that deletes within the second of the directory's new time
	// leaves its own time there, whichever server it talks to.
	for _, dir := range []string{"many/d00", "many"} {
		check(t, os.Chtimes(src+"/"+dir, day(30), day(30)))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stat reads a number of --stats.
func stat(t *testing.T, res rrtest.Result, line string) int64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + line + `: ([0-9,]+)`).FindStringSubmatch(res.Stdout)
	if m == nil {
		t.Fatalf("no line %q in\n%s", line, res.Stdout)
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	check(t, err)
	return n
}

// TestSeedPost is the command line of the README, with its wildcard.
func TestSeedPost(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	dst := rrtest.ScratchDir(t) + "/dst"
	rrtest.RichTree(t, src)
	s := rrtest.UnderTest(t, src)
	if res := rrtest.Run(t, s, dst, "-azh", "--stats", "rr:*"); res.Code != 0 || res.Stderr != "" {
		t.Fatal(res)
	}
	// The wildcard leaves out dot files of the top, and the top itself.
	want, got := take(t, src), take(t, dst)
	for _, name := range []string{".", ".dotfile"} {
		delete(want, name)
		delete(got, name)
	}
	if d := rrtest.Diff(want, got); len(d) > 0 {
		t.Errorf("%d objects differ:\n%s", len(d), strings.Join(first(d, 20), "\n"))
	}
}

func take(t *testing.T, dir string) rrtest.Snapshot {
	t.Helper()
	snap, err := rrtest.Take(dir, rrtest.Aspects{})
	check(t, err)
	return snap
}

// TestManyClients lets many clients pull at once.
func TestManyClients(t *testing.T) {
	src := rrtest.ScratchDir(t) + "/src"
	rrtest.RichTree(t, src)
	s := rrtest.UnderTest(t, src)
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			dst := rrtest.ScratchDir(t)
			if res := rrtest.Run(t, s, dst, "-aH", "rr:"); res.Code != 0 || res.Stderr != "" {
				t.Fatal(res)
			}
			rrtest.Compare(t, src, dst, rrtest.Aspects{Links: true})
		})
	}
}

// TestChangingRoot serves a root that is a symbolic link to the newest
// snapshot and flips it between two pulls.
func TestChangingRoot(t *testing.T) {
	dir := rrtest.TempDir(t)
	for _, day := range []string{"monday", "tuesday"} {
		tr := rrtest.NewTree(t, dir+"/"+day)
		tr.File("day", day)
		tr.Done()
	}
	current := dir + "/current"
	check(t, os.Symlink("monday", current))
	s := rrtest.UnderTest(t, current)
	for _, day := range []string{"monday", "tuesday"} {
		check(t, os.Remove(current))
		check(t, os.Symlink(day, current))
		dst := rrtest.TempDir(t)
		if res := rrtest.Run(t, s, dst, "-a", "rr:"); res.Code != 0 {
			t.Fatal(res)
		}
		rrtest.Compare(t, dir+"/"+day, dst, rrtest.Aspects{})
	}
}

// TestRootChangesWithin flips such a root while a pull goes on, which arrives as the
// snapshot that it began with: the root is looked up once.
func TestRootChangesWithin(t *testing.T) {
	dir := rrtest.TempDir(t)
	for n, day := range []string{"monday", "tuesday"} {
		tr := rrtest.NewTree(t, dir+"/"+day)
		for i := range 16 {
			tr.File(fmt.Sprintf("sub%02d/file", i), rrtest.Noise(uint64(100*n+i), 1_000_000))
		}
		tr.Done()
	}
	current := dir + "/current"
	for _, serve := range []func(testing.TB, string, ...rrtest.Option) *rrtest.Server{rrtest.UnderTest, rrtest.Forced} {
		os.Remove(current)
		check(t, os.Symlink("monday", current))
		s := serve(t, current)
		held := relay{goOn: make(chan struct{}), hold: 3_000_000}
		client := rrtest.Client{Server: s.Via(t, held.listen(t, s.Addr), filepath.Join(filepath.Dir(s.SSHConfig), "client_key"))}
		dst := rrtest.TempDir(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := client.Exec(client.RsyncCommand("-a", "rr:", dst)...); err != nil || res.Code != 0 {
				t.Error(err, res)
			}
		}()
		for begun := false; !begun; time.Sleep(time.Millisecond) {
			select {
			case <-done:
				t.Fatal("the pull ended before the first file was there")
			default:
				_, err := os.Stat(dst + "/sub00/file")
				begun = err == nil
			}
		}
		check(t, os.Remove(current))
		check(t, os.Symlink("tuesday", current))
		close(held.goOn)
		<-done
		rrtest.Compare(t, dir+"/monday", dst, rrtest.Aspects{})
	}
}
