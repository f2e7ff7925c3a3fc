package rsyncproto

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// idleRun serves a client that writes to in and reads from out in its own way,
// and returns how the session ended and after what time.
func idleRun(t *testing.T, command string, fs vfs.FS, client func(in io.Writer, out io.Reader)) (res Result, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		stdin, in := io.Pipe()
		out, stdout := io.Pipe()
		go func() {
			client(in, out)
			in.Close()
			out.Close()
		}()
		began := time.Now()
		res = Serve(context.Background(), Config{
			Command: command, FS: fs, Idle: time.Hour, Probes: true,
			Stdin: stdin, Stdout: stdout, Stderr: stdout,
			Abort: func() { stdin.CloseWithError(io.ErrClosedPipe); stdout.CloseWithError(io.ErrClosedPipe) },
		})
		took = time.Since(began)
		stdin.Close()
		stdout.Close()
		time.Sleep(25 * time.Hour) // the client's goroutines end
	})
	return res, took
}

// slowly copies n bytes a time.
func slowly(w io.Writer, r io.Reader, n int64, d time.Duration) {
	for {
		if _, err := io.CopyN(w, r, n); err != nil {
			return
		}
		time.Sleep(d)
	}
}

const idlePull = "rsync --server --sender -re.LsfxCIvu . ."

// bigList is a tree whose list is long.
func bigList(files int) vfs.FS {
	tree := vfstest.NewMemory()
	for i := range files {
		name := strings.Repeat(string(rune('a'+i%26)), 200) + string(rune('a'+i/26))
		tree.Add(name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}})
	}
	return tree
}

func TestIdleClients(t *testing.T) {
	for _, tt := range []struct {
		name, command string
		client        func(in io.Writer, out io.Reader)
	}{
		{"sends nothing", idlePull, func(_ io.Writer, out io.Reader) {
			io.Copy(io.Discard, out)
		}},
		{"sends nothing, secluded", "rsync --server --sender -s", func(_ io.Writer, out io.Reader) {
			io.Copy(io.Discard, out)
		}},
		{"sends one byte a minute", "rsync --server --sender -s", func(in io.Writer, out io.Reader) {
			go io.Copy(io.Discard, out)
			slowly(in, strings.NewReader(strings.Repeat("\x01", 1000)), 1, time.Minute)
		}},
		{"takes nothing", idlePull, func(in io.Writer, _ io.Reader) {
			in.Write(opening())
			time.Sleep(24 * time.Hour)
		}},
		{"takes one byte a minute", idlePull, func(in io.Writer, out io.Reader) {
			go in.Write(opening())
			slowly(io.Discard, out, 1, time.Minute)
		}},
		{"takes nothing of a probe's answer", "rsync --version", func(io.Writer, io.Reader) {
			time.Sleep(24 * time.Hour)
		}},
		{"takes nothing of a refusal", "rsync --server . .", func(io.Writer, io.Reader) {
			time.Sleep(24 * time.Hour)
		}},
	} {
		res, took := idleRun(t, tt.command, bigList(26*26), tt.client)
		if took < time.Hour || took > 70*time.Minute {
			t.Errorf("%s: ended after %v with status %d, %v", tt.name, took, res.ExitStatus, res.Err)
		}
	}
}

// Who is slow, or waits for a slow server, is not cut off.
func TestSlowClients(t *testing.T) {
	ask := func() []byte {
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		w.Frame()
		for range 5 {
			w.Ndx(32, wire.NdxDone)
			w.Flush()
		}
		return b.Bytes()
	}()
	for _, tt := range []struct {
		name   string
		fs     vfs.FS
		client func(in io.Writer, out io.Reader)
	}{
		{"a server busy for ten hours", slowFS{bigList(2), 10 * time.Hour}, func(in io.Writer, out io.Reader) {
			go in.Write(append(opening(), ask...))
			io.Copy(io.Discard, out)
		}},
		{"a client that takes 20 bytes a second", bigList(26 * 26), func(in io.Writer, out io.Reader) {
			go in.Write(append(opening(), ask...))
			slowly(io.Discard, out, 20, time.Second)
		}},
		{"a client that says something every 50 minutes", bigList(2), func(in io.Writer, out io.Reader) {
			go io.Copy(io.Discard, out)
			in.Write(opening())
			slowly(in, bytes.NewReader(ask), 5, 50*time.Minute)
		}},
	} {
		res, took := idleRun(t, idlePull, tt.fs, tt.client)
		if res.ExitStatus != 0 {
			t.Errorf("%s: status %d after %v, %v", tt.name, res.ExitStatus, took, res.Err)
		}
	}
}

// panicReader stands for a bug below the goroutine that reads ahead.
type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("provoked") }

// A panic in a session's own goroutines reaches the one that runs the session.
func TestPanicsReachTheSession(t *testing.T) {
	panics := func(f func()) (r any) {
		defer func() { r = recover() }()
		f()
		return nil
	}
	c := Config{Command: idlePull, FS: vfstest.NewMemory(), Stdin: panicReader{}, Stdout: io.Discard, Stderr: io.Discard}
	if r := panics(func() { Serve(context.Background(), c) }); r != "provoked" {
		t.Errorf("reading: %v", r)
	}
	aborted := make(chan struct{})
	s := &session{Config: Config{Abort: func() { close(aborted) }}}
	stop := s.beside(time.Millisecond, func() { panic("provoked") })
	<-aborted
	if r := panics(stop); r != "provoked" {
		t.Errorf("beside: %v", r)
	}
}

func TestSumMemory(t *testing.T) {
	h := delta.Head{Count: 10, BlockLength: 700, S2Length: 16, Strong: 16}
	m := NewSumMemory(h.Memory() * 3 / 2)
	first, giveFirst := m.take(h)
	second, giveSecond := m.take(h)
	third, giveThird := m.take(h)
	if first != h.Memory() || second != h.Memory()/2 || third != 0 {
		t.Errorf("took %d, %d and %d of %d", first, second, third, h.Memory())
	}
	giveThird()
	giveSecond()
	giveFirst()
	if all, _ := m.take(delta.Head{Count: 1 << 30, Strong: 16}); all != h.Memory()*3/2 {
		t.Errorf("%d left after all was given back", all)
	}
	if all, _ := (*SumMemory)(nil).take(delta.Head{Count: 1 << 30, Strong: 16}); all != delta.MemoryLimit {
		t.Errorf("%d for a pull by itself", all)
	}
	// What has no room is not kept, and read over.
	sums, err := delta.ReadSums(wire.NewReader(bytes.NewReader(make([]byte, 200))), h, 0)
	if err != nil || sums.Len() != 0 {
		t.Error(errors.Join(err, errors.New("blocks were kept")))
	}
}
