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
	"rrserve/internal/vfs/vfstest"
)

// changingFS answers Open as if the file had changed since it was listed.
type changingFS struct {
	vfs.FS
	open func(p vfs.Path, f *vfs.File) (*vfs.File, error)
}

func (c changingFS) Open(p vfs.Path) (*vfs.File, error) {
	f, err := c.FS.Open(p)
	if err != nil {
		return nil, err
	}
	return c.open(p, f)
}

// failing reads a few bytes and then no more.
type failing struct {
	io.ReaderAt
	err error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, "abc"[min(off, 3):])
	return n, f.err
}

// What a client is told about a file that is not any more what was listed
// (section 4.12): it must not wait, and the exit status says how bad it was.
func TestSourceChanged(t *testing.T) {
	ioError := &vfs.Error{Op: "read", Errno: vfs.EIO, Err: errors.New("input/output error")}
	for _, c := range []struct {
		name     string
		open     func(p vfs.Path, f *vfs.File) (*vfs.File, error)
		status   int
		messages []string
	}{
		{
			"vanished",
			func(p vfs.Path, _ *vfs.File) (*vfs.File, error) {
				return nil, &vfs.Error{Op: "open", Path: p, Errno: vfs.ENOENT, Err: errors.New("gone")}
			},
			exitVanished,
			[]string{`4 "file has vanished: \"/f\"\n"`, `102 "\x00\x00\x00\x00"`, `22 "\x02\x00\x00\x00"`},
		},
		{
			"a link in its place",
			func(p vfs.Path, _ *vfs.File) (*vfs.File, error) {
				return nil, &vfs.Error{Op: "open", Path: p, Errno: vfs.ELOOP, Err: errors.New("a link")}
			},
			exitPartial,
			[]string{`1 "rsync: [sender] send_files failed to open \"/f\": Too many levels of symbolic links (40)\n"`, `102 "\x00\x00\x00\x00"`, `22 "\x01\x00\x00\x00"`},
		},
		{
			"shrunk while it is read",
			func(p vfs.Path, f *vfs.File) (*vfs.File, error) {
				return vfs.NewFile(p, failing{err: io.EOF}, f, *f.Info()), nil
			},
			exitPartial,
			[]string{`1 "rsync: [sender] read errors mapping \"/f\": No data available (61)\n"`, `22 "\x01\x00\x00\x00"`},
		},
		{
			"unreadable in the middle",
			func(p vfs.Path, f *vfs.File) (*vfs.File, error) {
				return vfs.NewFile(p, failing{err: ioError}, f, *f.Info()), nil
			},
			exitPartial,
			[]string{`1 "rsync: [sender] read errors mapping \"/f\": Input/output error (5)\n"`, `22 "\x01\x00\x00\x00"`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := vfstest.NewMemory()
			tree.Add("f", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: []byte("0123456789")})
			var out bytes.Buffer
			res := Serve(context.Background(), Config{
				Command: "rsync --server --sender -te.LsfxCIvu . f", FS: changingFS{tree, c.open}, Seed: 1,
				Stdin: bytes.NewReader(asksForFile()), Stdout: &out, Stderr: io.Discard, Abort: func() {},
			})
			if res.ExitStatus != c.status || res.Err != nil {
				t.Errorf("status %d, want %d (%v)", res.ExitStatus, c.status, res.Err)
			}
			_, messages, _ := frames(t, out.Bytes(), handshakeLen(t, out.Bytes(), 1), -1)
			if got, want := strings.Join(messages, "\n"), strings.Join(c.messages, "\n"); got != want {
				t.Errorf("messages:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// asksForFile is a client that wants the first file and nothing else.
func asksForFile() []byte {
	var in bytes.Buffer
	in.Write(opening())
	w := wire.NewWriter(&in)
	w.Frame()
	w.Ndx(32, 0)
	w.Short(itemTransfer)
	for range 4 {
		w.Int(0)
	}
	for range 5 {
		w.Ndx(32, wire.NdxDone)
	}
	w.Flush()
	return in.Bytes()
}
