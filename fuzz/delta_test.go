package fuzz

import (
	"bytes"
	"testing"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/delta/deltatest"
	"rrserve/internal/rsyncproto/wire"
)

// discardTokens is a token.Writer that holds the sender to the head.
type discardTokens struct {
	t    *testing.T
	head delta.Head
	n    int
}

func (d *discardTokens) Literal(p []byte) error { d.n += len(p); return nil }
func (d *discardTokens) End() error             { return nil }
func (d *discardTokens) Match(i int32, p []byte) error {
	if i < 0 || i >= d.head.Count || len(p) > int(d.head.BlockLength) {
		d.t.Errorf("block %d of %d bytes for %+v", i, len(p), d.head)
	}
	d.n += len(p)
	return nil
}

// FuzzDeltaRequest reads a sum head and signatures of a hostile client, with
// memory in proportion to what came, and answers them.
func FuzzDeltaRequest(f *testing.F) {
	c := checksum.Config{Algorithm: checksum.XXH3, Seed: 1}
	f.Add(byte(31), deltatest.Request(c, []byte("a basis of a few short blocks"), 8, 8))
	f.Fuzz(func(t *testing.T, version byte, in []byte) {
		v := wire.MinVersion + wire.Version(version)%(wire.MaxVersion-wire.MinVersion+1)
		done := limits{256 << 10, 8}.hold(t, len(in))
		r := wire.NewReader(bytes.NewReader(in))
		h, err := delta.ReadHead(r, v, c.Algorithm.Size())
		if err != nil {
			done()
			return
		}
		if h.Strong > 8 || h.BasisLength() < 0 || h.BasisLength() >= 1<<60 {
			t.Fatalf("%+v", h)
		}
		s, err := delta.ReadSums(r, h, 64<<10)
		done()
		if err != nil {
			return
		}
		file := []byte("what a basis of a few short blocks became")
		defer limits{1 << 20, 16}.hold(t, len(in))()
		for _, inPlace := range []bool{false, true} {
			out := &discardTokens{t: t, head: h}
			res, err := delta.NewSender(c).Search(bytes.NewReader(file), int64(len(file)), s, inPlace, out)
			if err != nil || out.n != len(file) || res.Literal+res.Matched != int64(out.n) {
				t.Errorf("%d of %d bytes sent, %+v, %v", out.n, len(file), res, err)
			}
		}
	})
}

// FuzzDeltaSearch rebuilds a file from a basis and the tokens of the search.
func FuzzDeltaSearch(f *testing.F) {
	c := checksum.Config{Algorithm: checksum.XXH128, Seed: -2}
	f.Add([]byte("abcdefgh"), []byte("xabcdefgh"), uint16(3), false)
	f.Fuzz(func(t *testing.T, basis, file []byte, blockLength uint16, inPlace bool) {
		defer limits{1 << 20, 100}.hold(t, len(basis)+len(file))()
		n := int(blockLength)%1000 + 1
		s, err := deltatest.Read(c, deltatest.Request(c, basis, n, 16))
		if err != nil {
			t.Fatal(err)
		}
		got := deltatest.NewReceiver(s.Head(), basis, inPlace)
		res, err := delta.NewSender(c).Search(bytes.NewReader(file), int64(len(file)), s, inPlace, got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.File, file) || !got.Ended {
			t.Errorf("received %q, want %q", got.File, file)
		}
		sum := checksum.NewFile(c)
		sum.Write(file)
		if !bytes.Equal(res.Sum, sum.Sum(nil)) {
			t.Errorf("checksum %x", res.Sum)
		}
	})
}
