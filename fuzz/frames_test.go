package fuzz

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

// FuzzFrames reads a stream, plain and in frames, as numbers and strings. What
// is accepted is the same after it was written and read again.
func FuzzFrames(f *testing.F) {
	for _, r := range recordings(f, "0*") {
		f.Add(byte(31), true, []byte{0, 4, 8, 1, 3}, r.client)
	}
	all := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	for _, stream := range []string{
		"\x05\x00\x00\x07abcde\x00\x00\x00\x31\x03\x00\x00\x07\xfe\x00\x05", "\x04\x00\x00\x5d\x17\x00\x00\x00", "\x00\x00\x00\x5d", "\x04\x00\x00\x1d\x01\x00\x00\x00\xff\xff\xff\x07",
		"\x03\x00\x00\x09abc\x00\x14\x00\x09", "\xff\xff\xff\xff", "\x01\x00\x00\x6b!", "\xf0\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x80\x03abc", "line\n\x00string\x00", "\xff\xfe\x80\x01\x02\x03\xfe\xff\xff\xff\xff",
	} {
		for i := range all {
			f.Add(byte(27), false, all[i:], []byte(stream))
			f.Add(byte(32), true, all[i:], []byte(stream))
		}
	}
	f.Fuzz(func(t *testing.T, version byte, framed bool, kinds, stream []byte) {
		if len(kinds) == 0 {
			return
		}
		v := clampVersion(version)
		// What is read is kept, up to 150 bytes of memory for one of the stream.
		done := limits{64 << 10, 200}.hold(t, len(stream))
		r := wire.NewReader(bytes.NewReader(stream))
		r.Frame(framed)
		var values []value
		for i := 0; r.Err() == nil && i < len(stream)+len(kinds); i++ {
			if x := readValue(r, v, kinds[i%len(kinds)]); r.Err() == nil {
				values = append(values, x)
			}
		}
		done()
		if r.Count() > int64(len(stream)) {
			t.Errorf("%d of %d bytes consumed", r.Count(), len(stream))
		}
		checkWireError(t, r.Err())
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		if framed {
			w.Frame()
		}
		for _, x := range values {
			x.write(w, v)
		}
		w.Flush()
		r = wire.NewReader(&b)
		r.Frame(framed)
		for _, x := range values {
			if again := readValue(r, v, x.kind); again.n != x.n || !bytes.Equal(again.s, x.s) || r.Err() != nil {
				t.Fatalf("%+v is written and read as %+v, %v", x, again, r.Err())
			}
		}
	})
}

// checkWireError holds the error of a Reader of bytes to be of a known kind.
func checkWireError(t *testing.T, err error) {
	t.Helper()
	var bounds *wire.RangeError
	var frame *wire.FrameError
	var exit *wire.PeerExit
	if err != nil && !errors.As(err, &bounds) && !errors.As(err, &frame) && !errors.As(err, &exit) &&
		!errors.Is(err, wire.ErrBadNumber) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an error of an unknown kind: %v", err)
	}
}

// value is something that was read.
type value struct {
	kind byte
	n    int64
	s    []byte
}

func readValue(r *wire.Reader, v wire.Version, kind byte) value {
	x := value{kind: kind}
	switch kind % 14 {
	case 0:
		x.n = int64(r.Ndx(v))
	case 1:
		x.n = int64(r.Byte())
	case 2:
		x.n = int64(r.Short())
	case 3:
		x.n = int64(r.Int("int", math.MinInt32, math.MaxInt32))
	case 4:
		x.n = int64(r.Varint("varint", math.MinInt32, math.MaxInt32))
	case 5:
		x.n = r.Varlong("varlong", 3, math.MinInt64, math.MaxInt64)
	case 6:
		x.n = r.Varlong("varlong", 8, math.MinInt64, math.MaxInt64)
	case 7:
		x.n = r.Longint("longint", math.MinInt64, math.MaxInt64)
	case 8:
		x.s = r.Vstring("vstring", 4095)
	case 9:
		x.s = r.CString("cstring", 100)
	case 10:
		x.s = r.Line("line", 100)
	case 11:
		x.n = int64(r.Uint32())
	case 12:
		x.n = int64(r.Varint("varint", 0, 100))
	case 13:
		r.Skip(3)
	}
	return x
}

func (x value) write(w *wire.Writer, v wire.Version) {
	switch x.kind % 14 {
	case 0:
		w.Ndx(v, int32(x.n))
	case 1:
		w.Byte(byte(x.n))
	case 2:
		w.Short(uint16(x.n))
	case 3, 11:
		w.Int(int32(x.n))
	case 4, 12:
		w.Varint(int32(x.n))
	case 5:
		w.Varlong(x.n, 3)
	case 6:
		w.Varlong(x.n, 8)
	case 7:
		w.Longint(x.n)
	case 8:
		w.Vstring(x.s)
	case 9:
		w.WriteString(string(x.s) + "\x00")
	case 10:
		w.WriteString(string(x.s) + "\n")
	case 13:
		w.WriteString("...")
	}
}
