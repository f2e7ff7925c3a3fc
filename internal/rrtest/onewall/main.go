// Command onewall serves one pull with some of rrserve's walls left out, so that
// a test can see what each of them holds alone. It is no server: it speaks with
// its client over its standard input and output, as the program of rsync -e:
//
//	rsync -e 'onewall path|jail open|confined DIR' HOST:FILE... COPY
//
// With path, the tree is opened by plain names, which follow every link; with
// jail, as rrserve opens it. With open, the process may do what its user may;
// with confined, it is behind the walls of [jail.Confine].
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/vfs"
)

// exitFailed is none of rsync's exit codes.
const exitFailed = 99

func main() {
	if len(os.Args) < 6 {
		fail("usage: onewall path|jail open|confined DIR HOST COMMAND...")
	}
	tree, process, dir := os.Args[1], os.Args[2], os.Args[3]
	c := rsyncproto.Config{
		Command: strings.Join(os.Args[5:], " "), // as ssh does
		Module:  filepath.Base(dir),
		Stdin:   os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Abort: func() { os.Stdin.Close() },
	}
	switch process {
	case "open":
	case "confined":
		confine(dir)
	default:
		fail("neither open nor confined: " + process)
	}
	switch tree {
	case "path":
		c.FS = byPath(dir)
		c.NoXattrs, c.NoBtimes = true, true
	case "jail":
		root, err := jail.Open(dir)
		if err != nil {
			fail(err.Error())
		}
		c.FS = vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(root, "/")),
			vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs})
		c.NoBtimes = !root.Btimes()
	default:
		fail("neither path nor jail: " + tree)
	}
	os.Exit(rsyncproto.Serve(context.Background(), c).ExitStatus)
}

// byPath is the tree without the second wall, and without O_NOFOLLOW.
func byPath(dir string) vfs.FS {
	return vfs.FromAfero(afero.NewReadOnlyFs(afero.NewBasePathFs(afero.NewOsFs(), dir)), vfs.Flags{})
}

// confine leaves the process dir and nothing else, not even the files of its
// own that rrserve keeps.
func confine(dir string) {
	// The Go runtime sets up its poller with the first pipe or socket, for which
	// rrserve has its listener.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	for _, w := range jail.Confine(&jail.Sandbox{Trees: []string{dir}}) {
		if w.Err != nil {
			fail(w.Name + ": " + w.Err.Error())
		}
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "onewall: "+why)
	os.Exit(exitFailed)
}
