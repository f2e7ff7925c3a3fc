package rsyncproto

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// slowFiles is a tree that takes its time to open a file and for each read of
// it, and counts.
type slowFiles struct {
	vfs.FS
	delay     time.Duration
	busy, max atomic.Int32 // opens and reads under way, and the most at once
	opened    atomic.Int32
	open      atomic.Int32 // descriptors
	bomb      string       // opening this file panics
}

func (s *slowFiles) wait() {
	n := s.busy.Add(1)
	for most := s.max.Load(); n > most && !s.max.CompareAndSwap(most, n); most = s.max.Load() {
	}
	time.Sleep(s.delay)
	s.busy.Add(-1)
}

func (s *slowFiles) Open(p vfs.Path) (*vfs.File, error) {
	s.opened.Add(1)
	s.wait()
	if p.Base() == s.bomb {
		panic("bomb")
	}
	f, err := s.FS.Open(p)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	return vfs.NewFile(p, slowReads{f, s}, &closing{f, s}, *f.Info()), nil
}

type slowReads struct {
	io.ReaderAt
	tree *slowFiles
}

func (r slowReads) ReadAt(p []byte, off int64) (int, error) {
	r.tree.wait()
	return r.ReaderAt.ReadAt(p, off)
}

type closing struct {
	*vfs.File
	tree *slowFiles
}

func (c *closing) Close() error {
	if c.tree != nil {
		c.tree.open.Add(-1)
		c.tree = nil
	}
	return c.File.Close()
}

const aheadFiles = 200

// filesTree has files of all kinds of length, some of which cannot be opened.
func filesTree() *vfstest.Memory {
	tree := vfstest.NewMemory()
	for i := range aheadFiles {
		n := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: bytes.Repeat([]byte{byte(i), 'x'}, i*7)}
		switch {
		case i%50 == 20:
			n.Errno = vfs.EACCES
		case i%50 == 30:
			n.Errno = vfs.ENOENT
		case i%50 == 40:
			n.Data = bytes.Repeat([]byte("long"), maxFetched)
		}
		tree.Add(fmt.Sprintf("f%03d", i), n)
	}
	return tree
}

// asksForAll wants all files of filesTree, one as what differs from a copy, one
// twice, and says what else clients say.
func asksForAll(w *wire.Writer) {
	for i := range int32(aheadFiles) {
		askFor(w, 1+i)
		switch i {
		case 60:
			w.Ndx(32, 0) // the directory, nothing to send
			w.Short(0)
		case 70:
			w.Ndx(32, wire.NdxDelStats)
			for range 5 {
				w.Varint(1)
			}
		case 75:
			askFor(w, 1+i)
		case 80:
			w.Ndx(32, wire.NdxDone)
		}
	}
	for range 4 {
		w.Ndx(32, wire.NdxDone)
	}
	w.Flush()
}

func askFor(w *wire.Writer, ndx int32) {
	w.Ndx(32, ndx)
	w.Short(itemTransfer)
	sums := [4]int32{}
	if ndx%10 == 5 {
		sums = [4]int32{3, 700, 2, 0}
	}
	for _, n := range sums {
		w.Int(n)
	}
	for range sums[0] {
		w.Write([]byte("weakst"))
	}
}

const aheadPull = "rsync --server --sender -re.LsfxCIvu . ."

func aheadConfig(fs vfs.FS, in io.Reader, out io.Writer) Config {
	return Config{Command: aheadPull, FS: fs, Seed: 1, Stdin: in, Stdout: out, Stderr: io.Discard, Abort: func() {}}
}

// pullAll serves a client that asks for everything at once.
func pullAll(t *testing.T, c Config) ([]byte, time.Duration) {
	t.Helper()
	var in, out bytes.Buffer
	in.Write(opening())
	w := wire.NewWriter(&in)
	w.Frame()
	asksForAll(w)
	c.Stdin, c.Stdout = &in, &out
	start := time.Now()
	res := Serve(context.Background(), c)
	if res.Err != nil || res.ExitStatus != exitPartial || res.Sent != aheadFiles+1-8 || res.Failed != 4 || res.Vanished != 4 {
		t.Errorf("%+v", res)
	}
	return out.Bytes(), time.Since(start)
}

// What is ahead changes nothing but the time.
func TestLookAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := &slowFiles{FS: filesTree()}
		want, _ := pullAll(t, aheadConfig(fast, nil, nil))
		if fast.max.Load() != 1 || fast.opened.Load() != aheadFiles+1 {
			t.Errorf("fast storage: %d opens, %d at once", fast.opened.Load(), fast.max.Load())
		}
		for _, limit := range []*FetchLimit{nil, NewFetchLimit(8), NewFetchLimit(0)} {
			slow := &slowFiles{FS: filesTree(), delay: 2 * time.Millisecond}
			c := aheadConfig(slow, nil, nil)
			c.Fetches = limit
			got, took := pullAll(t, c)
			if !bytes.Equal(got, want) {
				t.Error("slow storage: other bytes")
			}
			most, serial := int32(maxFetches), 2*aheadFiles*slow.delay
			if limit != nil {
				most = int32(limit.left.Load())
			}
			if n := slow.max.Load(); n < most || n > most+1 {
				t.Errorf("%d opens and reads at once, want %d", n, most)
			}
			if most > 8 && took > serial/5 {
				t.Errorf("%v, one after the other takes %v", took, serial)
			}
			if n := slow.open.Load(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		}
	})
}

// A client that waits for each answer before it asks on, and one that has sent
// half of its next request, get it.
func TestLookAheadWaitsForNobody(t *testing.T) {
	for _, half := range []int{0, 1, 2, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			slow := &slowFiles{FS: filesTree(), delay: 2 * time.Millisecond}
			stdin, in := io.Pipe()
			out, stdout := io.Pipe()
			answered := &arrivals{}
			go io.Copy(answered, out)
			done := make(chan Result)
			go func() {
				c := aheadConfig(slow, stdin, stdout)
				c.Abort = func() { t.Error("aborted") }
				done <- Serve(t.Context(), c)
			}()
			in.Write(opening())
			var data bytes.Buffer
			w := wire.NewWriter(&data)
			sent := 0
			for i := range int32(10) {
				askFor(w, 1+i)
				w.Flush()
				next := data.Len()
				before := answered.n.Load()
				writeFrame(in, data.Bytes()[sent:next-half])
				sent = next - half
				synctest.Wait()
				time.Sleep(time.Second)
				if i > 0 && answered.n.Load() == before {
					t.Errorf("request %d: no answer while %d bytes of the next are missing", i-1, half)
				}
			}
			writeFrame(in, append(data.Bytes()[sent:], 0, 0, 0, 0, 0))
			if res := <-done; res.Err != nil || res.Sent != 10 {
				t.Errorf("%+v", res)
			}
			stdout.Close()
			in.Close()
		})
	}
}

type arrivals struct{ n atomic.Int64 }

func (a *arrivals) Write(p []byte) (int, error) {
	a.n.Add(int64(len(p)))
	return len(p), nil
}

func writeFrame(w io.Writer, p []byte) {
	w.Write(append([]byte{byte(len(p)), byte(len(p) >> 8), 0, 7}, p...))
}

// A session that ends early leaves nothing behind.
func TestLookAheadEnds(t *testing.T) {
	for _, bomb := range []string{"", "f100"} {
		synctest.Test(t, func(t *testing.T) {
			slow := &slowFiles{FS: filesTree(), delay: 2 * time.Millisecond, bomb: bomb}
			limit := NewFetchLimit(100)
			c := aheadConfig(slow, nil, nil)
			c.Fetches = limit
			var in bytes.Buffer
			in.Write(opening())
			w := wire.NewWriter(&in)
			w.Frame()
			asksForAll(w)
			c.Stdin, c.Stdout = &in, &dying{left: 100_000}
			defer func() {
				if r := recover(); (r == "bomb") != (bomb != "") {
					t.Errorf("recovered %v", r)
				}
				if slow.busy.Load() != 0 && bomb == "" || slow.open.Load() != 0 || limit.left.Load() != 100 {
					t.Errorf("%d busy, %d open, %d of 100 places free", slow.busy.Load(), slow.open.Load(), limit.left.Load())
				}
			}()
			if bomb != "" {
				c.Stdout = io.Discard
			}
			if res := Serve(context.Background(), c); !errors.Is(res.Err, io.ErrClosedPipe) {
				t.Errorf("%+v", res)
			}
		})
	}
}

// dying takes so many bytes.
type dying struct{ left int }

func (d *dying) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// Whatever a client sends, slow storage changes nothing but the time: neither what
// it gets nor how its session ends.
func TestLookAheadHostile(t *testing.T) {
	var in bytes.Buffer
	w := wire.NewWriter(&in)
	w.Frame()
	asksForAll(w)
	requests := in.Bytes()
	run := func(fs vfs.FS, command string, in []byte) ([]byte, Result) {
		var out bytes.Buffer
		// In one piece, since where frames end depends on when the input comes.
		c := aheadConfig(fs, bytes.NewReader(append(opening(), in...)), &out)
		c.Command = command
		res := Serve(context.Background(), c)
		return out.Bytes(), res
	}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		in := bytes.Clone(requests)
		for range 1 + random.IntN(4) {
			in[random.IntN(len(in))] = byte(random.IntN(256))
		}
		command := aheadPull
		if seed%3 == 0 {
			command = "rsync --server --sender --append -re.LsfxCIvu . ."
		}
		synctest.Test(t, func(t *testing.T) {
			want, wantRes := run(&slowFiles{FS: filesTree()}, command, in)
			slow := &slowFiles{FS: filesTree(), delay: 2 * time.Millisecond}
			got, res := run(slow, command, in)
			if !bytes.Equal(got, want) || fmt.Sprint(res) != fmt.Sprint(wantRes) {
				t.Errorf("seed %d: %d bytes, %+v\nwithout delay: %d bytes, %+v", seed, len(got), res, len(want), wantRes)
			}
			if slow.open.Load() != 0 {
				t.Errorf("seed %d: %d files are still open", seed, slow.open.Load())
			}
		})
	}
}
