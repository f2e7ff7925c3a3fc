package argv

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rsyncNames lets the installed rsync serve the secluded argument from the
// tree to itself and returns the names it lists.
func rsyncNames(t *testing.T, dir, arg string) []string {
	t.Helper()
	shell := filepath.Join(t.TempDir(), "shell")
	// The remote shell: drop the host's name and run the server in the tree.
	script := "#!/bin/sh\nshift\ncd '" + dir + "' && exec \"$@\"\n"
	if err := os.WriteFile(shell, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rsync", "-ndlRs8", "--no-implied-dirs", "--trust-sender", "--out-format=%n", "-e", shell, "host:"+arg, filepath.Join(t.TempDir(), "dst"))
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("the reference rsync is needed: %v", err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		names = append(names, strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "/"))
	}
	slices.Sort(names)
	return names
}

// The names that rsync lists for an argument are those that we make of it.
func TestSecludedLikeRsync(t *testing.T) {
	dir := makeTree(t)
	// rsync prints the one in another form, and its server takes the other,
	// once a wildcard has matched it, for the options -o -p -t.
	for _, name := range []string{"new\nline", "-opt"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, arg := range strings.Split(`a|*|.*|?|a*|a/*|*/x|*/*|*/*/*|.hid/*|l*|l*/*|dang*|a b|a\ b|a\*b|a*b|a[1]|a\[1\]|a[[]1]|f[0-9]|f[!1]|f[^1]|`+
		`f?|fé|f??|[[:upper:]]|[[:alpha:]]?|[z]|\[z]|{q}|{a,b}|~|~user|#c|quo'te|q"d|a\b|a\\b*|a\b*|./a/*|a//x|a//*|nope*|*/nope|`+
		`[]]|[]a]|[a-|a[1|[a-c]*|[c-a]|[!a]*b|[\a]*|?\b|*\|*/sub/deep|*/su[b]|a/./*|*/./x|[[:nope:]]*|a-b/*|x?y|[a-]*|**|a**|***/x|`+
		`*.txt|*/*.txt|d.d/e*.*|$HOME|it's`, "|") {
		p := &Pull{Secluded: true, Args: []Word{{text: arg}}}
		expanded, err := p.Expand(dirTree(dir))
		if err != nil {
			t.Errorf("%q: %v", arg, err)
			continue
		}
		var want []string
		for _, name := range expanded {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				want = append(want, filepath.Clean(name))
			}
		}
		slices.Sort(want)
		got := rsyncNames(t, dir, arg)
		for i, name := range got {
			got[i] = filepath.Clean(strings.ReplaceAll(name, `\#303\#251`, "é"))
		}
		slices.Sort(got)
		if strings.Contains(arg, "/./") { // names begin behind the dot
			for i, name := range expanded {
				_, want[i], _ = strings.Cut(name, "/./")
			}
			slices.Sort(want)
			want = slices.Compact(want)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%q (-rsync +ours):\n%s", arg, diff)
		}
	}
}
