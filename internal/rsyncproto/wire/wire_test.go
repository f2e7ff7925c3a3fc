package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// written returns the bytes that f writes without framing.
func written(f func(*Writer)) []byte {
	var b bytes.Buffer
	w := NewWriter(&b)
	f(w)
	w.Flush()
	return b.Bytes()
}

func TestVarint(t *testing.T) {
	for _, c := range []struct {
		v    int32
		want string
	}{
		{0, "00"}, {127, "7f"}, {128, "80 80"}, {255, "80 ff"}, {256, "81 00"}, {300, "81 2c"}, {511, "81 ff"},
		{16383, "bf ff"}, {16384, "c0 00 40"}, {54321, "c0 31 d4"}, {65535, "c0 ff ff"}, {65536, "c1 00 00"},
		{2097151, "df ff ff"}, {2097152, "e0 00 00 20"}, {16777216, "e1 00 00 00"}, {268435455, "ef ff ff ff"},
		{268435456, "f0 00 00 00 10"}, {2147483647, "f0 ff ff ff 7f"}, {-2, "f0 fe ff ff ff"},
	} {
		got := written(func(w *Writer) { w.Varint(c.v) })
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("Varint(%d) = % x, want %s", c.v, got, c.want)
		}
		r := NewReader(bytes.NewReader(got))
		if v := r.Varint("x", math.MinInt32, math.MaxInt32); v != c.v || r.Err() != nil {
			t.Errorf("reading % x: %d, %v", got, v, r.Err())
		}
	}
}

func TestVarlong(t *testing.T) {
	for _, c := range []struct {
		v    int64
		m    int
		want string
	}{
		{0, 3, "00 00 00"}, {127, 3, "00 7f 00"}, {4096, 3, "00 00 10"}, {65535, 3, "00 ff ff"}, {65536, 3, "01 00 00"},
		{4194303, 3, "3f ff ff"}, {4194304, 3, "40 00 00"}, {8388607, 3, "7f ff ff"}, {8388608, 3, "80 00 00 80"},
		{16777215, 3, "80 ff ff ff"}, {16777216, 3, "81 00 00 00"}, {1073741823, 3, "bf ff ff ff"},
		{1073741824, 3, "c0 00 00 00 40"}, {4294967295, 3, "c0 ff ff ff ff"}, {4294967296, 3, "c1 00 00 00 00"},
		{5368709120, 3, "c1 00 00 00 40"}, {274877906944, 3, "e0 00 00 00 00 40"}, {1099511627775, 3, "e0 ff ff ff ff ff"},
		{-1, 4, "f8 ff ff ff ff ff ff ff ff"}, {-2, 4, "f8 fe ff ff ff ff ff ff ff"}, {1, 4, "00 01 00 00"},
		{1704164647, 4, "65 27 7d 93"}, {2147483648, 4, "80 00 00 00 80"}, {4294967296, 4, "81 00 00 00 00"},
		{4300000000, 4, "81 00 cb 4c 00"}, {math.MaxInt64, 3, "fc ff ff ff ff ff ff ff 7f"}, {math.MinInt64, 3, "fc 00 00 00 00 00 00 00 80"},
	} {
		got := written(func(w *Writer) { w.Varlong(c.v, c.m) })
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("Varlong(%d, %d) = % x, want %s", c.v, c.m, got, c.want)
		}
		r := NewReader(bytes.NewReader(got))
		if v := r.Varlong("x", c.m, math.MinInt64, math.MaxInt64); v != c.v || r.Err() != nil {
			t.Errorf("reading % x: %d, %v", got, v, r.Err())
		}
	}
}

func TestLongint(t *testing.T) {
	for _, c := range []struct {
		v    int64
		want string
	}{
		{0, "00 00 00 00"}, {2147483647, "ff ff ff 7f"},
		{2147483648, "ff ff ff ff 00 00 00 80 00 00 00 00"}, {4294967295, "ff ff ff ff ff ff ff ff 00 00 00 00"},
	} {
		got := written(func(w *Writer) { w.Longint(c.v) })
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("Longint(%d) = % x, want %s", c.v, got, c.want)
		}
		r := NewReader(bytes.NewReader(got))
		if v := r.Longint("x", 0, math.MaxInt64); v != c.v || r.Err() != nil {
			t.Errorf("reading % x: %d, %v", got, v, r.Err())
		}
	}
}

// The sequences of section 7.1, each from the start of a direction.
func TestNdx(t *testing.T) {
	for _, c := range []struct {
		vs   []int32
		want string
	}{
		{[]int32{1, 2, 255, 509, 764}, "02 01 fd fe 00 fe fe 00 ff"},
		{[]int32{765, 33532}, "fe 02 fe fe 7f ff"},
		{[]int32{1, 40001}, "02 fe 80 41 9c 00"},
		{[]int32{6, 2}, "07 fe 80 02 00 00"},
		{[]int32{5, 5}, "06 fe 00 00"},
		{[]int32{NdxDone, NdxFlistEOF, NdxDelStats}, "00 ff 01 ff 01"},
		{[]int32{NdxFlistOffset - 1, NdxFlistEOF}, "ff 65 ff fe 80 02 00 00"},
		{[]int32{NdxDelStats}, "ff 02"},
		{[]int32{0x7fffffff, 0}, "fe ff ff ff ff fe 80 00 00 00"},
	} {
		got := written(func(w *Writer) {
			for _, v := range c.vs {
				w.Ndx(31, v)
			}
		})
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("Ndx(%v) = % x, want %s", c.vs, got, c.want)
		}
		r := NewReader(bytes.NewReader(got))
		for _, v := range c.vs {
			if x := r.Ndx(31); x != v || r.Err() != nil {
				t.Errorf("reading % x: %d, want %d, %v", got, x, v, r.Err())
			}
		}
	}
}

func TestNdxOverflow(t *testing.T) {
	r := NewReader(bytes.NewReader(unhex(t, "fe ff ff ff ff 01")))
	r.Ndx(31)
	r.Ndx(31)
	var re *RangeError
	if !errors.As(r.Err(), &re) {
		t.Errorf("index beyond 2^31-1: %v", r.Err())
	}
}

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Int(32)
	w.Frame()
	w.Byte(1)
	w.Text(ErrorXfer, "no\n")
	w.Byte(2)
	w.MessageInt(NoSend, 5)
	w.Flush()
	want := unhex(t, "20 00 00 00"+"01 00 00 07 01"+"03 00 00 08 6e 6f 0a"+"01 00 00 07 02"+"04 00 00 6d 05 00 00 00")
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got % x\nwant % x", b.Bytes(), want)
	}
	if n := w.Count(); n != int64(len(want)-4) {
		t.Errorf("Count() = %d, want %d", n, len(want)-4)
	}
}

func TestLargeWriteIsFramed(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Frame()
	data := bytes.Repeat([]byte("0123456789"), 10000)
	w.Write(data[:50001])
	w.WriteString(string(data[50001:]))
	w.Flush()
	r := NewReader(bytes.NewReader(b.Bytes()))
	r.Frame(true)
	if got := r.Bytes("data", len(data), len(data)); !bytes.Equal(got, data) || r.Err() != nil {
		t.Errorf("data changed on the way: %v", r.Err())
	}
	if got := r.Count(); got != int64(b.Len()) {
		t.Errorf("Count() = %d, want %d", got, b.Len())
	}
}

func TestReaderMessages(t *testing.T) {
	// A keepalive, a NOOP, an I/O error sent back and a text between the bytes of one int.
	r := NewReader(bytes.NewReader(unhex(t, "02 00 00 07 01 02 00 00 00 07 00 00 00 31 04 00 00 1d 01 00 00 00 02 00 00 09 68 0a 02 00 00 07 03 04")))
	r.Frame(true)
	if v := r.Int("x", 0, math.MaxInt32); v != 0x04030201 || r.Err() != nil {
		t.Errorf("got %#x, %v", v, r.Err())
	}
}

func TestReaderPeerExit(t *testing.T) {
	r := NewReader(bytes.NewReader(unhex(t, "04 00 00 5d 14 00 00 00")))
	r.Frame(true)
	r.Byte()
	var pe *PeerExit
	if !errors.As(r.Err(), &pe) || pe.Code != 20 {
		t.Errorf("got %v", r.Err())
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in string
		f  func(*Reader)
	}{
		"unknown frame":     {"00 00 00 ff", func(r *Reader) { r.Frame(true); r.Byte() }},
		"code below zero":   {"00 00 00 06", func(r *Reader) { r.Frame(true); r.Byte() }},
		"long text":         {"00 14 00 08", func(r *Reader) { r.Frame(true); r.Byte() }},
		"varint of 6 bytes": {"f8 00 00 00 00 00", func(r *Reader) { r.Varint("x", 0, math.MaxInt32) }},
		"varlong too long":  {"ff 00 00 00 00 00 00 00 00 00 00", func(r *Reader) { r.Varlong("x", 4, 0, math.MaxInt64) }},
		"int above bound":   {"05 00 00 00", func(r *Reader) { r.Int("x", 0, 4) }},
		"int below bound":   {"ff ff ff ff", func(r *Reader) { r.Int("x", 0, 4) }},
		"vstring too long":  {"85", func(r *Reader) { r.Vstring("x", 255) }},
		"cstring too long":  {"61 61 61 61 00", func(r *Reader) { r.CString("x", 3) }},
		"plain in a frame":  {"02 00 00 07 00 00", func(r *Reader) { r.Frame(true); r.Byte(); r.Frame(false) }},
		"end of stream":     {"00 00", func(r *Reader) { r.Uint32() }},
	} {
		r := NewReader(bytes.NewReader(unhex(t, c.in)))
		c.f(r)
		if r.Err() == nil || r.Err() == io.EOF {
			t.Errorf("%s: error %v", name, r.Err())
		}
		// Sticky: nothing comes after an error.
		if b := r.Byte(); b != 0 {
			t.Errorf("%s: read %d after the error", name, b)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	w := NewWriter(&b)
	w.clock = func() time.Time { return now }
	w.last.Store(now.UnixNano())
	w.KeepAlive(0)
	if b.Len() != 0 {
		t.Fatal("keepalive outside frames")
	}
	w.Frame()
	now = now.Add(9 * time.Second)
	w.KeepAlive(10 * time.Second)
	if b.Len() != 0 {
		t.Fatal("keepalive too early")
	}
	now = now.Add(time.Second)
	w.KeepAlive(10 * time.Second)
	w.KeepAlive(10 * time.Second)
	if want := unhex(t, "00 00 00 07"); !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got % x, want % x", b.Bytes(), want)
	}
}

func TestSkip(t *testing.T) {
	r := NewReader(bytes.NewReader(unhex(t, "02 00 00 07 01 02 03 00 00 07 03 04 05")))
	r.Frame(true)
	r.Byte()
	r.Skip(3)
	if b := r.Byte(); b != 5 || r.Err() != nil {
		t.Errorf("got %d, %v", b, r.Err())
	}
}

// What is decoded ahead is decoded again, and ends where the buffer ends.
func TestAhead(t *testing.T) {
	pieces := make(chan []byte, 3)
	pieces <- unhex(t, "05 00 00 07 01 02 03")
	pieces <- unhex(t, "04 05")
	r := NewReader(readerFunc(func(p []byte) (int, error) {
		select {
		case b := <-pieces:
			return copy(p, b), nil
		default:
			t.Error("waits for the peer")
			return 0, io.EOF
		}
	}))
	r.Frame(true)
	if a := r.Ahead(); a.Byte() != 0 || a.Err() != io.ErrUnexpectedEOF {
		t.Errorf("of nothing: %v", a.Err())
	}
	r.Gather()
	a := r.Ahead()
	if x, y := a.Ndx(32), a.Byte(); x != 0 || y != 2 || a.Err() != nil {
		t.Errorf("ahead: %d, %d, %v", x, y, a.Err())
	}
	if a.Short(); a.Err() != io.ErrUnexpectedEOF {
		t.Errorf("beyond the buffer: %v", a.Err())
	}
	r.Gather()
	x, y, z := r.Ndx(32), r.Byte(), r.Byte()
	if rest := r.Short(); x != 0 || y != 2 || z != 3 || rest != 0x0504 || r.Err() != nil || r.Count() != 9 {
		t.Errorf("read: %d, %d, %d, %x, %d bytes, %v", x, y, z, rest, r.Count(), r.Err())
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
