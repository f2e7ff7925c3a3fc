package rsyncproto

import (
	"bytes"
	"cmp"
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

// holeTree has nothing but a list of names that is one long hole, and its client goes
// away when that is read.
type holeTree struct {
	vfs.FS
	leave context.CancelFunc
	reads int
}

func (t *holeTree) Open(p vfs.Path) (*vfs.File, error) {
	return vfs.NewFile(p, t, io.NopCloser(nil), vfs.Info{Mode: vfs.ModeRegular, Size: 1 << 50}), nil
}

func (t *holeTree) ReadAt(p []byte, _ int64) (int, error) {
	t.reads++
	t.leave()
	clear(p)
	return len(p), nil
}

// A list of names in the tree was read to its end for a client that was gone.
func TestNamesEnd(t *testing.T) {
	for _, option := range []string{"", "--from0 "} {
		ctx, cancel := context.WithCancel(t.Context())
		tree := &holeTree{FS: listedTree(""), leave: cancel}
		res := serveUntil(ctx, "rsync --server --sender "+option+"--files-from list -e.LsfxC . .", tree)
		if !errors.Is(res.Err, context.Canceled) || tree.reads != 1 {
			t.Errorf("%q: %v after %d reads, want one", option, res.Err, tree.reads)
		}
	}
}

// serveUntil serves a client that sends no rules and nothing else.
func serveUntil(ctx context.Context, command string, tree vfs.FS) Result {
	var in bytes.Buffer
	w := wire.NewWriter(&in)
	w.Int(31)
	w.Frame()
	w.Int(0) // no rules
	w.Flush()
	return Serve(ctx, Config{Command: command, FS: tree, Stdin: &in, Stdout: io.Discard, Stderr: io.Discard, Abort: func() {}})
}

// All the wildcards of a client that was gone were still expanded.
func TestWildcardsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tree := &leavingTree{FS: listedTree(""), leave: cancel}
	res := serveUntil(ctx, "rsync --server --sender -re.LsfxC ."+strings.Repeat(" *x", 100), tree)
	if !errors.Is(res.Err, context.Canceled) || tree.reads != 1 {
		t.Errorf("%v after %d directories, want one", res.Err, tree.reads)
	}
}

// Of a client that goes away the log tells always the same, whatever the server was at.
func TestEndingSaysWhy(t *testing.T) {
	gone := errors.New("gone")
	for _, c := range []struct {
		cause  error
		status int
	}{{gone, exitSocketIO}, {nil, ExitSignal}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		tree := &leavingTree{FS: listedTree(""), leave: func() { cancel(c.cause) }}
		res := serveUntil(ctx, "rsync --server --sender -re.LsfxC . *x *x", tree)
		if want := cmp.Or(c.cause, context.Canceled); res.Err != want || res.ExitStatus != c.status {
			t.Errorf("%v with status %d, want %v with %d", res.Err, res.ExitStatus, want, c.status)
		}
	}
}
