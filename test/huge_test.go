package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// peakScript runs rsync and writes the most memory that it ever had, in KiB,
// to a file beside itself.
const peakScript = `import os, resource, sys
pid = os.posix_spawnp("rsync", ["rsync"] + sys.argv[1:], os.environ)
status = os.waitpid(pid, 0)[1]
with open(sys.argv[0] + ".kib", "w") as f:
    f.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
`

// TestHugeList pulls a tree of hugeFiles files, hugeDirectory of them in one
// directory, compares it, and pulls it once more, which must find nothing to
// do. The memory of the server is printed, beside that of the reference for
// the second pull.
func TestHugeList(t *testing.T) {
	src := rrtest.ScratchDir(t) + "/src"
	check(t, rrtest.SmallFiles(src+"/many", hugeFiles-hugeDirectory))
	check(t, os.Mkdir(src+"/wide", 0o755))
	for i := range hugeDirectory {
		check(t, os.WriteFile(fmt.Sprintf("%s/wide/%06d", src, i), nil, 0o644))
	}
	wholeSeconds(t, src)
	want := take(t, src)
	for _, v := range []string{"27", "30", "32"} {
		t.Run("protocol "+v, func(t *testing.T) { pullHuge(t, src, v, want) })
	}
}

// wholeSeconds gives everything below dir a time that all protocols can say,
// and neighbours different ones.
func wholeSeconds(t *testing.T, dir string) {
	t.Helper()
	var names []string
	check(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		names = append(names, name)
		return err
	}))
	for i, name := range slices.Backward(names) { // what is in a directory comes before it
		check(t, os.Chtimes(name, day(i%5000), day(i%5000)))
	}
}

func pullHuge(t *testing.T, src, protocol string, want rrtest.Snapshot) {
	dst := rrtest.ScratchDir(t) + "/dst"
	args := []string{"-a", "--stats", "--protocol=" + protocol, "rr:", dst}
	pull := func(what string) {
		t.Helper()
		s := rrtest.UnderTest(t, src)
		begin := time.Now()
		res := rrtest.Client{Server: s, Timeout: time.Hour}.Run(t, args...)
		if res.Code != 0 || res.Stderr != "" {
			t.Fatal(res)
		}
		if n := stat(t, res, "Number of regular files transferred"); what == "first" != (n > 0) {
			t.Errorf("%s pull: %d files transferred", what, n)
		}
		printPeak(s.Name, protocol, what, begin, peakKiB(t, s))
	}
	pull("first")
	if d := rrtest.Diff(want, take(t, dst)); len(d) > 0 {
		t.Errorf("%d objects differ:\n%s", len(d), strings.Join(first(d, 10), "\n"))
	}
	pull("second")

	script := filepath.Dir(dst) + "/peak.py"
	check(t, os.WriteFile(script, []byte(peakScript), 0o644))
	begin := time.Now()
	res := rrtest.Client{Server: rrtest.Sshd(t, src), Timeout: time.Hour}.Run(t, append([]string{"--rsync-path=python3 " + script}, args...)...)
	if res.Code != 0 {
		t.Fatal(res)
	}
	kib, err := os.ReadFile(script + ".kib")
	check(t, err)
	printPeak("reference", protocol, "second", begin, parseKiB(t, string(kib)))
}

var highWater = regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`)

// peakKiB is the most memory that the server's process ever had.
func peakKiB(t *testing.T, s *rrtest.Server) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	check(t, err)
	m := highWater.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in:\n%s", status)
	}
	return parseKiB(t, string(m[1]))
}

func parseKiB(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	check(t, err)
	return n
}

func printPeak(server, protocol, pull string, begin time.Time, kib int64) {
	fmt.Printf("huge list: protocol %s, %s pull, %-9s: %4d MiB at most, %4d bytes per file, %.1f s\n",
		protocol, pull, server, kib>>10, kib<<10/hugeFiles, time.Since(begin).Seconds())
}
