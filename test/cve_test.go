package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

// outsideTree makes DIR/src, which is served, and DIR/outside, which is not:
// filter rules and names that nobody may see, and links from the one to the
// other.
func outsideTree(t *testing.T) (dir string) {
	t.Helper()
	dir = rrtest.TempDir(t)
	outside := rrtest.NewTree(t, dir+"/outside")
	outside.File("rules", "- keep.txt\n")            // has an effect where it is read
	outside.File("names", "keep.txt\nsecret-name\n") // is reported as missing
	outside.File("broken", "secret-rule\n")          // is no rule, and once was quoted
	outside.Done()
	src := rrtest.NewTree(t, dir+"/src")
	src.File("keep.txt", "keep\n")
	src.File("sub/keep.txt", "keep\n")
	for _, name := range []string{"rules", "broken", "names"} {
		src.Symlink("."+name, "../outside/"+name)
		src.Symlink("sub/."+name, dir+"/outside/"+name)
	}
	for _, name := range []string{".rsync-filter", ".cvsignore"} {
		src.Symlink(name, "../outside/rules")
		src.Symlink("sub/"+name, dir+"/outside/broken")
	}
	src.Symlink("up", "../outside")
	src.Done()
	return dir
}

// TestSmuggledOptions sends options past the client (-M) that name a file of
// the server's machine, loosen its bounds or make it write. Those of the first
// list are refused, those of the second only concern who receives: neither
// leaves a trace, and the latter do not change what arrives.
func TestSmuggledOptions(t *testing.T) {
	dir := outsideTree(t)
	s := rrtest.Rrserve(t, dir+"/src")
	before, dst := take(t, dir), rrtest.TempDir(t)+"/dst"
	for _, option := range []string{
		"--log-file=OUT/log", "--write-batch=OUT/batch", "--only-write-batch=OUT/batch", "--read-batch=OUT/rules",
		"--exclude-from=OUT/rules", "--include-from=OUT/rules", "--password-file=OUT/rules", "--early-input=OUT/rules",
		"--filter=.OUT/rules", "--config=OUT/rules", "--dparam=path=/", "--confine-root=/", "--insecure-links", "--no-insecure-links",
		"--rsh=touch", "--rsync-path=touch", "--copy-as=root", "--remote-option=--log-file=OUT/log",
		"--remove-source-files", "--remove-sent-files", "--write-devices", "--copy-devices",
	} {
		res := rrtest.Run(t, s, dst+"/", "-a", "-M"+strings.ReplaceAll(option, "OUT", dir+"/outside"), "rr:")
		if res.Code == 0 || !strings.Contains(res.Stderr, "[E-OPTION]") {
			t.Errorf("%s: want a refusal [E-OPTION]\n%v", option, res)
		}
		if names, _ := filepath.Glob(dst + "/*"); len(names) > 0 {
			t.Errorf("%s: %q arrived", option, names)
		}
		check(t, os.RemoveAll(dst))
	}
	for _, option := range []string{
		"--temp-dir=OUT", "--partial-dir=OUT/new", "--backup-dir=OUT/new", "--link-dest=OUT", "--copy-dest=OUT", "--compare-dest=OUT",
		"--max-alloc=0", "--max-size=99999999999999999999G", "--min-size=x", "--compress-threads=256", "--zt=256",
		"--delete", "--force", "--debug=FILTER4", "--usermap=*:root", "--out-format=%C%C%999999999n", "--trust-sender",
	} {
		res := rrtest.Run(t, s, dst+"/", "-az", "-M"+strings.ReplaceAll(option, "OUT", dir+"/outside"), "rr:")
		if text, err := os.ReadFile(dst + "/sub/keep.txt"); res.Code != 0 || err != nil || string(text) != "keep\n" {
			t.Errorf("%s: %q, %v\n%v", option, text, err, res)
		}
		check(t, os.RemoveAll(dst))
	}
	if d := rrtest.Diff(before, take(t, dir)); len(d) > 0 {
		t.Errorf("something was written:\n%s", strings.Join(d, "\n"))
	}
}

// TestRulesOutside names files outside the tree as files of filter rules, by
// path and through links. They are not read: all files arrive, and no message
// holds a line of them.
func TestRulesOutside(t *testing.T) {
	dir := outsideTree(t)
	s := rrtest.Rrserve(t, dir+"/src")
	for _, args := range [][]string{
		{"-f: .rules"}, {"-f:- .rules"}, {"-f: .broken"}, {"-f:w .broken"}, {"-f:- .names"},
		{"-f: ../outside/rules"}, {"-f:- ../outside/rules"}, {"-f: ../outside/broken"}, {"-f: /../outside/rules"},
		{"-f: OUT/rules"}, {"-f:- OUT/rules"}, {"-f: OUT/broken"},
		{"-f: up/rules"}, {"-f:- /up/rules"}, {"-f: up/broken"},
		{"-F"}, {"-FF"}, {"-C"}, {"-vvF"}, {"-F", "-M--debug=FILTER4"},
	} {
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, "OUT", dir+"/outside")
		}
		res := rrtest.Run(t, s, dir+"/dst/", append([]string{"-a"}, append(args, "rr:")...)...)
		for _, name := range []string{"keep.txt", "sub/keep.txt"} {
			if _, err := os.Stat(dir + "/dst/" + name); err != nil {
				t.Errorf("%q: %v", args, err)
			}
		}
		if res.Code != 0 || strings.Contains(res.Stdout+res.Stderr, "secret") {
			t.Errorf("%q: exit code not 0, or a secret\n%v", args, res)
		}
		check(t, os.RemoveAll(dir+"/dst"))
	}
}

// TestNamesOutside names a file outside the tree as the list of --files-from.
func TestNamesOutside(t *testing.T) {
	dir := outsideTree(t)
	s := rrtest.Rrserve(t, dir+"/src")
	for _, list := range []string{".names", "sub/.names", "up/names", "../outside/names", "/../outside/names", dir + "/outside/names", "/etc/passwd"} {
		res := rrtest.Run(t, s, dir+"/dst/", "-a", "--files-from=:"+list, "rr:")
		names, _ := filepath.Glob(dir + "/dst/*")
		if res.Code == 0 || len(names) > 0 || strings.Contains(res.Stdout+res.Stderr, "secret-name") || strings.Contains(res.Stderr, "root:") {
			t.Errorf("%s: %q arrived; want a failure without its names\n%v", list, names, res)
		}
		check(t, os.RemoveAll(dir+"/dst"))
	}
}
