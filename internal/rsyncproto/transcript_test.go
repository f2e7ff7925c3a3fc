package rsyncproto

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// transcript is a session recorded with a real rsync on both ends.
type transcript struct {
	title, exec    string
	module         string // of the daemon protocol
	status         int
	seed           int32
	stats          int // offset of the statistics in server, -1: none
	client, server []byte
}

func readTranscript(t *testing.T, file string) transcript {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr := transcript{stats: -1, seed: 1}
	var dst *[]byte
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "# ") && tr.title == "":
			tr.title = line[2:]
		case strings.HasPrefix(line, "# "):
		case key == "exec":
			tr.exec = value
		case key == "module":
			tr.module = value
		case key == "status":
			tr.status, _ = strconv.Atoi(value)
		case key == "seed":
			seed, _ := strconv.Atoi(value)
			tr.seed = int32(seed)
		case key == "stats":
			tr.stats, _ = strconv.Atoi(value)
		case line == "client:":
			dst = &tr.client
		case line == "server:":
			dst = &tr.server
		default:
			b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			*dst = append(*dst, b...)
		}
	}
	return tr
}

// frames takes a server's stream apart: the plain bytes before the first
// frame, the data, and the messages between. at is an offset into the stream
// that is translated into one of the data.
func frames(t *testing.T, stream []byte, plain, at int) (data []byte, messages []string, dataAt int) {
	t.Helper()
	dataAt = -1
	data = append(data, stream[:plain]...)
	for off := plain; off < len(stream); {
		if off+4 > len(stream) {
			t.Fatalf("half a frame header at %d", off)
		}
		n := int(stream[off]) | int(stream[off+1])<<8 | int(stream[off+2])<<16
		tag := int(stream[off+3]) - 7
		off += 4
		if off+n > len(stream) {
			t.Fatalf("frame of %d bytes at %d of %d", n, off, len(stream))
		}
		if tag == 0 {
			if at >= off && at < off+n {
				dataAt = len(data) + at - off
			}
			data = append(data, stream[off:off+n]...)
		} else {
			messages = append(messages, fmt.Sprintf("%d %q", tag, stream[off:off+n]))
		}
		off += n
	}
	return data, messages, dataAt
}

// handshakeLen is the number of plain bytes of a server stream: all up to and
// with the checksum seed.
func handshakeLen(t *testing.T, stream []byte, seed int32) int {
	t.Helper()
	i := bytes.Index(stream[4:], binary.LittleEndian.AppendUint32(nil, uint32(seed)))
	if i < 0 {
		t.Fatal("no checksum seed in the recording")
	}
	return 4 + i + 4
}

// version is the protocol that one side announces first: in a byte, or in the
// greeting of the daemon protocol.
func version(stream []byte) byte {
	if rest, ok := bytes.CutPrefix(stream, []byte("@RSYNCD: ")); ok {
		return (rest[0]-'0')*10 + rest[1] - '0'
	}
	return stream[0]
}

// statsLen is the length of the statistics; every number in the recordings is
// small.
func statsLen(protocol byte) int {
	switch {
	case protocol >= 30:
		return 5 * 3
	case protocol == 29:
		return 5 * 4
	}
	return 3 * 4
}

// recordedTree is the tree that the recordings were made over, each directory
// in the order in which it was read.
func recordedTree() *vfstest.Memory {
	at := func(second int64) vfs.Time { return vfs.Time{Sec: 1704164640 + second} }
	dir := func(mode uint32, second int64) vfstest.Node {
		return vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | mode, Size: 4096, Mtime: at(second), Nlink: 2}}
	}
	file := func(mode uint32, data string) vfstest.Node {
		return vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | mode, Mtime: at(5)}, Data: []byte(data)}
	}
	t := vfstest.NewMemory()
	t.Add("srv", dir(0o755, 0))
	t.Add("srv/tree", dir(0o755, 0))

	t.Add("srv/tree/d", dir(0o755, 7))
	t.Add("srv/tree/d/ln", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777, Mtime: at(5)}, Target: "a.txt"})
	t.Add("srv/tree/d/sub", dir(0o755, 6))
	t.Add("srv/tree/d/sub/b.txt", file(0o644, "world, this is file b\n"))
	t.Add("srv/tree/d/a.txt", file(0o644, "hello\n"))

	t.Add("srv/tree/e", dir(0o755, 7))
	t.Add("srv/tree/e/priv", dir(0o700, 6)).Errno = vfs.EACCES
	t.Add("srv/tree/e/ok", file(0o644, "ok\n"))
	t.Add("srv/tree/e/noread", file(0o600, "secret\n")).Errno = vfs.EACCES

	var big strings.Builder
	big.WriteString(strings.Repeat("A", 1400))
	for range 4 {
		for b := range 256 {
			big.WriteByte(byte(b))
		}
	}
	t.Add("srv/tree/x", dir(0o755, 7))
	t.Add("srv/tree/x/small", file(0o644, "s\n"))
	for _, name := range []string{"hard", "big"} {
		n := t.Add("srv/tree/x/"+name, file(0o644, big.String()))
		n.Info.Nlink, n.Info.Ino = 2, 77
	}
	iconvTree(t)
	addAttributes(t)
	return t
}

// iconvTree adds a tree with names in ISO 8859-1.
func iconvTree(t *vfstest.Memory) {
	at := vfs.Time{Sec: 1_000_000_000}
	dir := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755, Size: 4096, Mtime: at, Nlink: 2}}
	file := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644, Mtime: at}}
	t.Add("ic", dir)
	t.Add("ic/b", file)
	t.Add("ic/a\xe9", file)
	t.Add("ic/l\xe9", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777, Mtime: at}, Target: "a\xe9"})
	t.Add("ic/zz", dir)
	t.Add("ic/d\xe9", dir)
	t.Add("ic/d\xe9/x\xfc", file)
	t.Add("ic/zz/q", file)
}

// replay feeds the client's side of a recording to Serve.
func replay(tr transcript) (stream []byte, stderr string, res Result) {
	var out, errOut bytes.Buffer
	name := func(names ...string) func(uint32) string {
		return func(id uint32) string {
			if int(id) < len(names) {
				return names[id]
			}
			return ""
		}
	}
	res = Serve(context.Background(), Config{
		Command: tr.exec, FS: recordedTree(), Module: tr.module,
		Stdin: bytes.NewReader(tr.client), Stdout: &out, Stderr: &errOut, Abort: func() {},
		UserName: name("root", "daemon"), GroupName: name("root", "daemon", "bin"), Seed: tr.seed,
	})
	return out.Bytes(), errOut.String(), res
}

// The server's direction of recorded sessions must come out byte for byte, but
// for the frame boundaries and the statistics.
func TestTranscripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/transcript/*.txt")
	if len(files) < 6 {
		t.Fatalf("%d transcripts", len(files))
	}
	for _, file := range files {
		tr := readTranscript(t, file)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			got, stderr, res := replay(tr)
			if res.ExitStatus != tr.status || res.Err != nil {
				t.Errorf("%s: status %d, want %d; %v, stderr %q", tr.title, res.ExitStatus, tr.status, res.Err, stderr)
			}
			compareStreams(t, tr, got)
		})
	}
}

func compareStreams(t *testing.T, tr transcript, got []byte) {
	t.Helper()
	plain := handshakeLen(t, tr.server, tr.seed)
	if len(got) < plain || !bytes.Equal(got[:plain], tr.server[:plain]) {
		t.Fatalf("handshake:\n got % x\nwant % x", got[:min(plain, len(got))], tr.server[:plain])
	}
	want, wantMessages, stats := frames(t, tr.server, plain, tr.stats)
	data, messages, _ := frames(t, got, plain, -1)
	if n := statsLen(min(version(tr.server), version(tr.client))); stats >= 0 && len(data) >= stats+n {
		copy(data[stats:stats+n], want[stats:stats+n])
	}
	if !bytes.Equal(data, want) {
		i := 0
		for i < min(len(data), len(want)) && data[i] == want[i] {
			i++
		}
		t.Errorf("data differ from byte %d of %d (got %d) on:\n got % x\nwant % x", i, len(want), len(data),
			data[i:min(i+64, len(data))], want[i:min(i+64, len(want))])
	}
	if g, w := strings.Join(messages, "\n"), strings.Join(wantMessages, "\n"); g != w {
		t.Errorf("messages:\n%s\nwant:\n%s", g, w)
	}
}
