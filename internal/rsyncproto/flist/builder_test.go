package flist

import (
	"bytes"
	"context"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

// An error met in a later list went out with its end only, and a client of
// protocol 30 with --delete went on deleting.
func TestErrorAtEndOfList(t *testing.T) {
	end := []byte{
		3, 0, 0, 7, // data
		0x04, 0x10, // end of the list, with an error
		1, // IOGeneral
	}
	message := []byte{
		4, 0, 0, 7 + 22, // MSG_IO_ERROR
		1, 0, 0, 0, // IOGeneral
	}
	for _, c := range []struct {
		version wire.Version
		first   bool
		want    []byte
	}{
		{30, true, end},
		{30, false, append(end[:len(end):len(end)], message...)},
		{31, true, end},
		{31, false, end},
	} {
		var out bytes.Buffer
		w := wire.NewWriter(&out)
		w.Frame()
		b := New(context.Background(), w, Options{Version: c.version, Incremental: true, SafeFlist: true})
		b.begin()
		b.AddIOError(IOGeneral)
		if _, err := b.finish(c.first); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if !bytes.Equal(out.Bytes(), c.want) {
			t.Errorf("protocol %d, first list %v: % x, want % x", c.version, c.first, out.Bytes(), c.want)
		}
	}
}
