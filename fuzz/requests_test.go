package fuzz

import (
	"testing"

	"rrserve/internal/rsyncproto/delta/deltatest"
)

// FuzzRequests sends requests, indexes and item flags as they come, after a
// handshake and a file list that are in order.
func FuzzRequests(f *testing.F) {
	head := string(deltatest.Head(0, 0, 0, 0))
	for _, requests := range []string{
		"\x01\x00\xa0" + head, "\x02\x00\xa8\x81" + head, "\x03\x00\xb0\x03abc" + head, "\xfe\x00\x05\x00\x80" + head, "\xfe\x80\x05\x00\x00\x00\xa0" + head,
		"\xff\x02\x01\x02\x03\x04\x05", "\xff\x01", "\xff\x64\x00", "\x00\x00\x01\x00\x80" + head, "\x01\x00\xd0\x80\x02ab", "\x05\x00\x00\x05\x01\x00",
		"\x03\x00\x00\x00\x00\xa0" + head, "\x02\x00\x00\x00\x00\xd8\x82\x01a" + head, "\x02\x00\x00\x00" + head, "\xff\xff\xff\xff", "\xfe\xff\xff\x7f\x00\x80",
		"\xfd\xff\xff\xff\x09\x00\x00\x00\x00\x20", "\x01\x00\x80\x02\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
	} {
		for v := byte(27); v <= 32; v++ {
			f.Add(v, byte(0xff), pick("-r", "-l"), []byte(requests))
		}
		f.Add(byte(32), byte(0xfe), pick("-r", "-X", "-H", "--inplace"), []byte(requests))
		f.Add(byte(31), byte(0xff), pick("-r", "-n"), []byte(requests))
	}
	tree := memoryTree()
	f.Fuzz(func(t *testing.T, version, caps byte, picks []byte, requests []byte) {
		d := dialogue{v: clampVersion(version), caps: caps, picks: picks, args: "srv/tree/d srv/tree/x", raw: requests}
		c := d.conversation()
		c.tree = tree
		e := c.play(t)
		e.sameAs(t, c.play(t))
	})
}
