package rsyncproto

import (
	"bytes"
	"context"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

// The client's own exit code becomes ours. Any 32 bits of it went out as the
// status of the session.
func TestPeerExit(t *testing.T) {
	for code, want := range map[int32]int{0: 0, 23: 23, 255: 255, 0x7fffff14: 20, -1: 255} {
		var in bytes.Buffer
		w := wire.NewWriter(&in)
		w.Int(32)
		w.Vstring([]byte("md5"))
		w.Frame()
		w.Int(0)
		w.MessageInt(wire.ErrorExit, code)
		res := Serve(context.Background(), Config{
			Command: "rsync --server --sender -re.LsfxCIvu . .", FS: listedTree(""), Seed: 1,
			Stdin: &in, Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Abort: func() {},
		})
		if res.ExitStatus != want || res.Err == nil {
			t.Errorf("code %d: status %d, %v, want %d", code, res.ExitStatus, res.Err, want)
		}
	}
}
