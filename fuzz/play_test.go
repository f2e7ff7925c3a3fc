package fuzz

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/vfs"
)

// conversation is all that a client says in one session.
type conversation struct {
	tree    vfs.FS
	command string
	client  []byte
}

// ending is how a session went.
type ending struct {
	rsyncproto.Result
	out, stderr []byte
}

// sessionLimits hold for one session: buffers, and up to 40 MB for an encoder of
// zstd, whose level the client chooses; and for each request of four bytes a file
// that is opened.
var sessionLimits = limits{64 << 20, 4000}

// maxOutput is more than any answer to a short input needs, in bytes.
const maxOutput = 64 << 20

// play runs a session and holds it to what is true of every session.
func (c conversation) play(t *testing.T) ending {
	t.Helper()
	defer sessionLimits.hold(t, len(c.command)+len(c.client))()
	out, stderr := &output{t: t}, &output{t: t}
	e := ending{Result: rsyncproto.Serve(context.Background(), rsyncproto.Config{
		Command: c.command, FS: inside{c.tree, t}, Seed: 1, Module: "backup", Probes: true,
		Stdin: bytes.NewReader(c.client), Stdout: out, Stderr: stderr, Abort: func() {},
		Now:      func() time.Time { return time.Unix(1_700_000_000, 0) },
		UserName: idName, GroupName: idName,
	})}
	e.out, e.stderr = out.Bytes(), stderr.Bytes()
	if e.ExitStatus < 0 || e.ExitStatus > 255 {
		t.Errorf("status %d", e.ExitStatus)
	}
	if p := e.Protocol; p != 0 && (p < 27 || p > 32) && e.ExitStatus != 2 {
		t.Errorf("protocol %d, status %d", p, e.ExitStatus)
	}
	if e.Refused != "" && (e.ExitStatus == 0 || len(e.stderr) == 0 && len(e.out) == 0) {
		t.Errorf("refused with status %d and without a word", e.ExitStatus)
	}
	if bytes.Contains(e.out, []byte(secretLine)) || bytes.Contains(e.stderr, []byte(secretLine)) {
		t.Error("what is outside is sent")
	}
	return e
}

// idName knows some ids and not others, and one by a name too long to send.
func idName(id uint32) string {
	return [...]string{"name", "", strings.Repeat("n", 300)}[id%3]
}

// sameAs holds two sessions of the same bytes to the same end. Frames may be
// cut differently, so their number and length are left out.
func (e ending) sameAs(t *testing.T, o ending) {
	t.Helper()
	e.Read, e.Written, o.Read, o.Written = 0, 0, 0, 0
	if e.Err != nil && o.Err != nil && e.Err.Error() == o.Err.Error() {
		e.Err = o.Err
	}
	if e.Result != o.Result || !bytes.Equal(e.stderr, o.stderr) {
		t.Errorf("%+v, %q, and the second time %+v, %q", e.Result, e.stderr, o.Result, o.stderr)
	}
}

// costly reports whether a session may ask for less speed, and would take it, or
// for the same directory thousands of times. That many names by few braces are
// what FuzzArgvExpand does.
func (c conversation) costly() bool {
	return strings.Contains(c.command, "bwlimit") || bytes.Contains(c.client, []byte("bwlimit")) || strings.Count(c.command, "{") > 4
}

// output keeps what a session writes, up to its bound.
type output struct {
	bytes.Buffer
	t *testing.T
}

func (o *output) Write(p []byte) (int, error) {
	if o.Len()+len(p) > maxOutput {
		o.t.Fatalf("more than %d bytes of output", maxOutput)
	}
	return o.Buffer.Write(p)
}

// inside is a tree that fails the test when something outside is seen through
// it, whatever becomes of that afterwards.
type inside struct {
	vfs.FS
	t *testing.T
}

func (s inside) Lstat(p vfs.Path) (vfs.Info, error) {
	info, err := s.FS.Lstat(p)
	s.check(p, info)
	return info, err
}

func (s inside) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	infos, err := s.FS.ReadDir(p, buf)
	for _, info := range infos {
		s.check(p, info)
	}
	return infos, err
}

func (s inside) Open(p vfs.Path) (*vfs.File, error) {
	f, err := s.FS.Open(p)
	if err == nil {
		s.check(p, *f.Info())
	}
	return f, err
}

func (s inside) check(p vfs.Path, info vfs.Info) {
	if info.Name == secretName || info.IsRegular() && info.Size == int64(len(secret)) {
		s.t.Errorf("%q leads outside: %+v", p, info)
	}
}
