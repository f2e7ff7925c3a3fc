package rsyncproto

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// leavingTree is a tree whose client goes away when a directory is read.
type leavingTree struct {
	vfs.FS
	leave context.CancelFunc
	reads int
}

func (t *leavingTree) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	t.reads++
	t.leave()
	return t.FS.ReadDir(p, buf)
}

// All the wildcards of a client that was gone were still expanded.
func TestWildcardsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tree := &leavingTree{FS: listedTree(""), leave: cancel}
	var in bytes.Buffer
	w := wire.NewWriter(&in)
	w.Int(31)
	w.Frame()
	w.Int(0) // no rules
	w.Flush()
	res := Serve(ctx, Config{
		Command: "rsync --server --sender -re.LsfxC ." + strings.Repeat(" *x", 100), FS: tree,
		Stdin: &in, Stdout: io.Discard, Stderr: io.Discard, Abort: func() {},
	})
	if !errors.Is(res.Err, context.Canceled) || tree.reads != 1 {
		t.Errorf("%v after %d directories, want one", res.Err, tree.reads)
	}
}
