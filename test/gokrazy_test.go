package test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gokrazy/rsync/rsyncclient"
	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/rrtest"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/vfs"
)

// duplex is one end of a pair of pipes.
type duplex struct {
	io.Reader
	io.WriteCloser
}

// pullGokrazy lets the independent implementation github.com/gokrazy/rsync
// (protocol 27) pull from the engine.
func pullGokrazy(t *testing.T, root, dst, path string, options ...string) rsyncproto.Result {
	t.Helper()
	tree, err := jail.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var stderr bytes.Buffer
	client, err := rsyncclient.New(options, rsyncclient.DontRestrict(), rsyncclient.WithStderr(&stderr))
	if err != nil {
		t.Fatal(err)
	}
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	done := make(chan rsyncproto.Result)
	go func() {
		res := rsyncproto.Serve(context.Background(), rsyncproto.Config{
			Command: "rsync " + strings.Join(client.ServerCommandOptions(path), " "),
			FS:      vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(tree, "/")), vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs}),
			Stdin:   toServer, Stdout: fromServer, Stderr: &stderr, Abort: func() { toServer.Close() },
		})
		fromServer.Close()
		done <- res
	}()
	_, err = client.Run(context.Background(), duplex{toClient, fromClient}, []string{dst})
	fromClient.Close()
	res := <-done
	if err != nil {
		t.Errorf("gokrazy/rsync %q: %v\n%s", options, err, &stderr)
	}
	if res.ExitStatus != 0 || res.Protocol != 27 {
		t.Errorf("gokrazy/rsync %q: status %d, protocol %d, %v\n%s", options, res.ExitStatus, res.Protocol, res.Err, &stderr)
	}
	return res
}

// The second implementation of the protocol agrees with us: a first pull, one
// that finds nothing to do, and one of a changed file with matched blocks.
func TestGokrazyClient(t *testing.T) {
	dir := rrtest.TempDir(t)
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	write := func(name string, data []byte) {
		name = filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	big := bytes.Repeat([]byte("sixteen bytes ok"), 1<<16)
	for i := range big {
		big[i] ^= byte(i>>8) * 7
	}
	write("a.txt", []byte("hello\n"))
	write("empty", nil)
	write("sub/deep/big", big)
	write("sub/with space", []byte("x"))
	if err := os.Symlink("../a.txt", filepath.Join(src, "sub/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	same := func(name string) {
		t.Helper()
		want, _ := os.ReadFile(filepath.Join(src, name))
		got, err := os.ReadFile(filepath.Join(dst, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	if res := pullGokrazy(t, src, dst, "./", "-a"); res.Sent != 4 {
		t.Errorf("first pull sent %d files, want 4", res.Sent)
	}
	for _, name := range []string{"a.txt", "empty", "sub/deep/big", "sub/with space"} {
		same(name)
	}
	if target, err := os.Readlink(filepath.Join(dst, "sub/link")); target != "../a.txt" {
		t.Errorf("link to %q, %v", target, err)
	}
	if res := pullGokrazy(t, src, dst, "./", "-a"); res.Sent != 0 {
		t.Errorf("second pull sent %d files", res.Sent)
	}
	write("sub/deep/big", append([]byte("in front"), big...))
	if res := pullGokrazy(t, src, dst, "./", "-a"); res.Sent != 1 || res.Matched < int64(len(big))*9/10 {
		t.Errorf("changed file: sent %d, matched %d of %d bytes", res.Sent, res.Matched, len(big))
	}
	same("sub/deep/big")
}
