package rsyncproto_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/rsyncproto/probe"
)

// TestLooksAtTree serves what needs no tree without one, which would panic at the
// first look.
func TestLooksAtTree(t *testing.T) {
	for command, want := range map[string]bool{
		"true": false, "echo ok": false, "rsync --version": false, "pwd": false, "test -d ''": false,
		"test -d sub": true, "[ -e * ]": true, "df -P .": true,
		"rsync --server --sender -r . .":                       true,
		"rsync --server --daemon .":                            true,
		"rsync --server -r . .":                                false, // a push
		"rsync --server --sender --remove-source-files -r . .": false,
		"rsync --server --sender -r . $(id)":                   false,
		"ls":                                                   false, "": false,
	} {
		var out bytes.Buffer
		c := rsyncproto.Config{
			Command: command, Probes: true, Space: func() (probe.Space, error) { return probe.Space{}, nil },
			Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
		}
		if got := c.LooksAtTree(); got != want {
			t.Errorf("%q: %v, want %v", command, got, want)
		} else if !got {
			rsyncproto.Serve(context.Background(), c)
		}
	}
	c := rsyncproto.Config{Command: "test -d sub"} // refused
	if c.LooksAtTree() {
		t.Error("a probe that is not answered looks at the tree")
	}
}
