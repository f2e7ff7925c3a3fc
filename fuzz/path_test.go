package fuzz

import (
	"strings"
	"testing"

	"rrserve/internal/vfs"
)

// FuzzPath parses names as a peer's command line or file list gives them. What
// is accepted names something beneath the root and nothing else, and parses to
// itself.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"", "/", ".", "a", "/a/b", "a//b/", "./a/./b", "...", "..a/.b", "a b\n\xff\\",
		"..", "/..", "a/../b", "a/..", "\x00", "a\x00/..", "a/" + strings.Repeat("n/", 2100),
		strings.Repeat("n", vfs.MaxPath-1), strings.Repeat("n", vfs.MaxPath),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		done := limits{64 << 10, 4}.hold(t, len(name))
		p, err := vfs.ParsePath(name)
		done()
		if err != nil {
			if p != (vfs.Path{}) {
				t.Fatalf("refused %q and returned %q", name, p)
			}
			refused(t, name)
			return
		}
		accepted(t, name, p)
	})
}

// refused holds a refusal to have one of the three reasons.
func refused(t *testing.T, name string) {
	t.Helper()
	if strings.Contains(name, "\x00") || len(name) >= vfs.MaxPath {
		return
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return
		}
	}
	t.Fatalf("refused %q without a reason", name)
}

func accepted(t *testing.T, name string, p vfs.Path) {
	t.Helper()
	s := p.String()
	if len(s) > vfs.MaxPath || s == "" || s[0] != '/' || strings.Contains(s, "\x00") {
		t.Fatalf("%q parses to %q", name, s)
	}
	if again, err := vfs.ParsePath(s); again != p || err != nil {
		t.Fatalf("%q parses to %q, and that to %q, %v", name, p, again, err)
	}
	walked := vfs.Root()
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." {
			continue
		}
		var err error
		if walked, err = walked.Join(part); err != nil {
			t.Fatalf("%q has the component %q: %v", name, part, err)
		}
	}
	if walked != p {
		t.Fatalf("%q parses to %q, its components join to %q", name, p, walked)
	}
}
