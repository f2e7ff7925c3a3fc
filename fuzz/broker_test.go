package fuzz

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"rrserve/internal/snapshot"
)

// FuzzBroker says to the snapshot broker what a server might that was taken over.
// Its one command does not exist, so that nothing is run: all that it may answer is
// that a session has failed which was asked for.
func FuzzBroker(f *testing.F) {
	for _, seed := range []string{
		"", "begin 1 0\n", "begin 1 0\nend 1\n", "begin 1 0\nbegin 2 0\nend 2\nend 1\n", "end 7\n", "begin 1 1\n",
		"begin 1 0\nbegin 1 0\n", "begin 1000000001 0\n", "begin 1 0 /etc\n", "begin -1 0", "run /bin/sh\n", "begin 1 0\r\n", "\x00\n",
		strings.Repeat("begin ", 2000) + "\n",
	} {
		f.Add(seed)
	}
	f.Setenv("PATH", "") // where the command is looked for
	f.Fuzz(func(t *testing.T, said string) {
		var out bytes.Buffer
		done := limits{64 << 10, 4 << 10}.hold(t, len(said))
		_ = snapshot.Serve(io.MultiReader(strings.NewReader(`[{"root":"a","args":["none"],"dir":"/a"}]`+"\n"), strings.NewReader(said)), &out, slog.New(slog.DiscardHandler))
		done()
		for line := range strings.Lines(out.String()) {
			var session int
			if n, err := fmt.Sscanf(line, "failed %d exec: ", &session); n != 1 || !strings.HasSuffix(line, "\n") {
				t.Fatalf("answered %q: %v", line, err)
			}
			if !strings.Contains(said, "begin") || !strings.Contains(said, fmt.Sprint(session)) {
				t.Fatalf("answered session %d, which was not asked for", session)
			}
		}
	})
}
