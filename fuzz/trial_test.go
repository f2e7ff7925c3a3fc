package fuzz

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gokrazy/rsync/rsyncclient"

	"rrserve/internal/rrtest"
	"rrserve/internal/trial"
)

// FuzzTrialPull lets a server send what it likes to the client of rrserve check.
// A panic in one of the client's goroutines would end the process.
func FuzzTrialPull(f *testing.F) {
	frame := func(tag byte, data string) string { return string([]byte{byte(len(data)), 0, 0, 7 + tag}) + data }
	const (
		file  = "\x01\x01a\x01\x00\x00\x00\x00\x00\x00\x00\xa4\x81\x00\x00" // named a, one byte long
		again = "\xa2\x01\x00\x01\x00\x00\x00"
		end   = "\x00\x00\x00\x00\x00"
		zero  = "\x00\x00\x00\x00"
		done  = "\xff\xff\xff\xff\xff\xff\xff\xff" + zero + zero + zero
		data  = zero + zero + zero + zero + zero + "\x01\x00\x00\x00x" + zero + "\x9d\xba\x0f\x26\x30\x3a\x07\x77\x3e\x2e\x0c\x79\xf5\xe7\xd2\xb8"
	)
	for _, stream := range []string{
		frame(0, end+done), frame(0, file+end) + frame(0, data+done), frame(0, file+again+end) + frame(0, data+data+done),
		frame(1, "rsync: no\n") + frame(0, end) + frame(2, "x") + frame(0, done), frame(0, end+"\x63"+zero), frame(0, file+end+zero+zero+zero+zero+zero+done),
		frame(0, "\x41\xff\xff\xff\x7f"), frame(0, "\x01\x02..\x01\x00\x00\x00\x00\x00\x00\x00\xa4\x81\x00\x00"+end), "",
	} {
		f.Add([]byte("\x1b\x00\x00\x00\x01\x00\x00\x00" + stream))
	}
	dir := filepath.Join(rrtest.ScratchDir(f), "copy")
	f.Fuzz(func(t *testing.T, stream []byte) {
		rsync, err := rsyncclient.New([]string{"-r"}, rsyncclient.DontRestrict(), rsyncclient.WithStderr(io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		s := trial.NewStream(bytes.NewReader(stream), io.Discard, func() {})
		defer func() { recover() }() // as rrserve check does
		rsync.Run(context.Background(), s, []string{dir})
		if n := len(s.Findings().Texts); n > trial.MaxTexts {
			t.Errorf("%d messages are kept", n)
		}
	})
}
