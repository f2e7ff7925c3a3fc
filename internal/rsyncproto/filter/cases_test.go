package filter

import (
	"os"
	"strings"
	"testing"
)

// The cases were recorded by running rsync 3.5.0 with one rule each.
func TestSingleRules(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")[1:]
	if len(lines) != 3327 {
		t.Fatalf("%d cases, want 3327", len(lines))
	}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			t.Fatalf("bad case %q", line)
		}
		l := &List{}
		if err := l.add("-"+f[1]+" "+f[0], 29); err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if got := l.Top(nil, "/served/tree").Excluded(f[2], f[3] == "d"); got != (f[4] == "1") {
			t.Errorf("pattern %q, modifiers %q, path %q, type %s: match %t", f[0], f[1], f[2], f[3], got)
		}
	}
}
