package fuzz

import (
	"bytes"
	"encoding/binary"
	"testing"

	"rrserve/internal/rsyncproto/argv"
)

// FuzzHandshake plays the exchange of versions and algorithms: options that
// name some, and the client's first bytes. Everything after them is in order.
func FuzzHandshake(f *testing.F) {
	const plain, varint = "\x20\x00\x00\x00", "\x20\x00\x00\x00\x04md5 \x05zlibx"
	for _, options := range []string{
		"", "-z", "--checksum-choice=xxh3,md5", "--cc=bogus", "--cc=auto,xxhash", "--checksum-seed=0", "--zc=lz4 --zl=99", "-zz", "--zc=none -c --cc=none", "--protocol=29", "--protocol=26",
		"-AX --protocol=29", "-z --skip-compress=gz/zip", "--iconv=bogus", "--iconv=.", "--iconv=x,koi8-r",
	} {
		for _, opening := range []string{plain, varint, "\x1f\x00\x00\x00\x00", "\x1b\x00\x00\x00", "\x13\x00\x00\x00", "\x19\x00\x00\x00", "SSH-", "\xff\xff\xff\xff", "\x28\x00\x00\x00\xff\xff"} {
			f.Add(byte(0xff), options, []byte(opening))
		}
	}
	f.Add(byte(0), "", []byte(plain))
	f.Add(byte(0xff), "-z", []byte(plain+"\x09none bogus\x80\x04zstd"))
	f.Add(byte(0xff), "-z", []byte(plain+"\x05bogus\x05bogus"))
	f.Add(byte(0xff), "-z", []byte(plain+"\x03md5\x05bogus"))
	f.Add(byte(0xff), "--zc=bogus", []byte(plain))
	tree := memoryTree()
	f.Fuzz(func(t *testing.T, caps byte, options string, opening []byte) {
		d := dialogue{v: 32, caps: caps, steps: []byte{1, 1}}
		if len(opening) > 0 && opening[0] < 32 {
			d.v = clampVersion(opening[0])
		}
		c := conversation{tree: tree, command: "rsync --server --sender -re." + d.letters() + " " + options + " . srv/tree/d/"}
		var b bytes.Buffer
		b.Write(opening)
		d.rest(&b, &argv.Pull{})
		if c.client = b.Bytes(); c.costly() {
			return
		}
		e := c.play(t)
		e.sameAs(t, c.play(t))
		// A client that goes away early may see nothing at all.
		if len(e.out) >= 4 && !e.Probe {
			if ours := binary.LittleEndian.Uint32(e.out); ours < 27 || ours > 32 || e.Protocol > int(ours) {
				t.Errorf("protocol %d agreed after %.20q", e.Protocol, e.out)
			}
		}
	})
}
