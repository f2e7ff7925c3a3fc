package rsyncproto

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// slowFS takes its time to read a directory.
type slowFS struct {
	vfs.FS
	delay time.Duration
}

func (s slowFS) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	time.Sleep(s.delay)
	return s.FS.ReadDir(p, buf)
}

// timedWriter records when something was written.
type timedWriter struct {
	mu    sync.Mutex
	bytes bytes.Buffer
	last  time.Time
	gap   time.Duration // the longest silence
}

func (w *timedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap = max(w.gap, time.Since(w.last))
	w.last = time.Now()
	return w.bytes.Write(p)
}

// opening is what a client says before it asks for files.
func opening() []byte {
	var in bytes.Buffer
	w := wire.NewWriter(&in)
	w.Int(32)
	w.Vstring([]byte("md5"))
	w.Frame()
	w.Int(0)
	w.Flush()
	return in.Bytes()
}

// While the server is busy for far longer than the client's --timeout, the
// client hears of it at less than half of that time.
func TestKeepAliveWhileListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in bytes.Buffer
		in.Write(opening())
		w := wire.NewWriter(&in)
		w.Frame()
		for range 5 {
			w.Ndx(32, wire.NdxDone)
		}
		w.Flush()
		tree := vfstest.NewMemory()
		tree.Add("a", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}})
		out := &timedWriter{last: time.Now()}
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender -re.LsfxCIvu --timeout=60 . .",
			FS:      slowFS{tree, time.Hour},
			Stdin:   &in, Stdout: out, Stderr: io.Discard,
			Abort: func() { t.Error("aborted while busy") },
		})
		if res.ExitStatus != 0 || res.Listed != 2 {
			t.Errorf("status %d, %d listed, %v", res.ExitStatus, res.Listed, res.Err)
		}
		if out.gap >= 30*time.Second {
			t.Errorf("silent for %v with a timeout of 60 s", out.gap)
		}
	})
}

// A client that says nothing for its own --timeout is cut off with rsync's
// code; without the option it may take its time.
func TestSilentClient(t *testing.T) {
	for _, c := range []struct {
		option string
		want   int
	}{{"--timeout=60", exitTimeout}, {"", exitStream}} {
		synctest.Test(t, func(t *testing.T) {
			client, in := io.Pipe()
			go func() {
				in.Write(opening())
				time.Sleep(24 * time.Hour)
				in.Close()
			}()
			out := &timedWriter{last: time.Now()}
			began := time.Now()
			res := Serve(context.Background(), Config{
				Command: "rsync --server --sender -re.LsfxCIvu " + c.option + " . .",
				FS:      vfstest.NewMemory(),
				Stdin:   client, Stdout: out, Stderr: io.Discard,
				Abort: func() { client.CloseWithError(io.ErrClosedPipe) },
			})
			if res.ExitStatus != c.want {
				t.Errorf("%q: status %d (%v), want %d", c.option, res.ExitStatus, res.Err, c.want)
			}
			if took := time.Since(began); c.option != "" && (took < time.Minute || took > 2*time.Minute) {
				t.Errorf("%q: cut off after %v", c.option, took)
			}
			time.Sleep(25 * time.Hour) // the client's goroutine ends
		})
	}
}

// A client that stops reading is cut off as well, although the server has
// something to say.
func TestClientStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, in := io.Pipe()
		out, server := io.Pipe()
		go in.Write(opening())
		go io.CopyN(io.Discard, out, 20)
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender -re.LsfxCIvu --timeout=60 . .",
			FS:      vfstest.NewMemory(),
			Stdin:   client, Stdout: server, Stderr: io.Discard,
			Abort: func() { client.CloseWithError(io.ErrClosedPipe); out.CloseWithError(io.ErrClosedPipe) },
		})
		if res.ExitStatus != exitTimeout {
			t.Errorf("status %d (%v), want %d", res.ExitStatus, res.Err, exitTimeout)
		}
	})
}
