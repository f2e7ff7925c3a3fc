package delta_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"rrserve/internal/rsyncproto/checksum"
	. "rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/delta/deltatest"
	"rrserve/internal/rsyncproto/token"
)

var configs = []checksum.Config{
	{Algorithm: checksum.XXH128, Seed: -2},
	{Algorithm: checksum.XXH3, Seed: 1},
	{Algorithm: checksum.XXH64, Seed: -559038737},
	{Algorithm: checksum.MD5, Seed: 305419896, SeedFirst: true},
	{Algorithm: checksum.MD5, Seed: 305419896},
	{Algorithm: checksum.MD4, Seed: 7},
	{Algorithm: checksum.MD4Auto, Seed: 7},
	{Algorithm: checksum.SHA1, Seed: 7},
}

func random(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// edit returns what a user may have made of p: pieces moved, changed,
// inserted, repeated and cut off.
func edit(r *rand.Rand, p []byte) []byte {
	p = bytes.Clone(p)
	for range 1 + r.IntN(6) {
		if len(p) == 0 {
			return random(r, r.IntN(3000))
		}
		at := r.IntN(len(p))
		n := min(1+r.IntN(2000), len(p)-at)
		piece := bytes.Clone(p[at : at+n])
		switch r.IntN(8) {
		case 0: // change a byte
			p[at]++
		case 1: // change a stretch
			copy(p[at:], random(r, n))
		case 2: // delete
			p = slices.Delete(p, at, at+n)
		case 3: // insert
			p = slices.Insert(p, at, random(r, n)...)
		case 4: // move forward or back, or repeat
			p = slices.Insert(p, r.IntN(len(p)+1), piece...)
		case 5: // cut
			p = p[:at]
		case 6: // append
			p = append(p, random(r, n)...)
		case 7: // zeros
			clear(p[at : at+n])
		}
	}
	return p
}

func wholeSum(c checksum.Config, p []byte) []byte {
	f := checksum.NewFile(c)
	f.Write(p)
	return f.Sum(nil)
}

// sums returns the signatures of basis as the server reads them.
func sums(t testing.TB, c checksum.Config, basis []byte, blockLength, s2length int) *Sums {
	t.Helper()
	s, err := deltatest.Read(c, deltatest.Request(c, basis, blockLength, s2length))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check compares what a client received with the file.
func check(t *testing.T, c checksum.Config, got *deltatest.Receiver, res Result, want []byte) {
	t.Helper()
	if !bytes.Equal(got.File, want) {
		t.Errorf("received %d bytes that are not the %d bytes of the file", len(got.File), len(want))
	}
	if !got.Ended {
		t.Error("no end token")
	}
	if res.Literal != got.Literals || res.Matched != got.Matches {
		t.Errorf("result counts %d+%d bytes, the client %d+%d", res.Literal, res.Matched, got.Literals, got.Matches)
	}
	if sum := wholeSum(c, want); !bytes.Equal(res.Sum, sum) {
		t.Errorf("checksum %x, want %x", res.Sum, sum)
	}
	if res.ReadErr != nil {
		t.Error(res.ReadErr)
	}
}

// A wrong block found by 2 bytes of strong sum would fail this test, but its
// generators are fixed.
func TestSearchRebuildsTheFile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matched := int64(0)
	for i := range 1500 {
		c := configs[i%len(configs)]
		blockLength := []int{1 + r.IntN(16), 700, 700, 1024, 1 + r.IntN(3000)}[r.IntN(5)]
		s2length := 2 + r.IntN(min(16, max(16, c.Algorithm.Size()))-1)
		if blockLength < 8 {
			s2length = 16
		}
		basis := random(r, r.IntN(12000))
		want := edit(r, basis)
		s := sums(t, c, basis, blockLength, s2length)
		for _, inPlace := range []bool{false, true} {
			got := deltatest.NewReceiver(s.Head(), basis, inPlace)
			res, err := NewSender(c).Search(bytes.NewReader(want), int64(len(want)), s, inPlace, got)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c, got, res, want)
			matched += res.Matched
			if t.Failed() {
				t.Fatalf("case %d: %v, blocks of %d, %d bytes of strong sums, in place %v", i, c, blockLength, s2length, inPlace)
			}
		}
	}
	if matched < 4<<20 {
		t.Errorf("only %d bytes matched", matched)
	}
}

// Files larger than the buffers, read ahead by a goroutine.
func TestSearchAcrossBuffers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	before := runtime.NumGoroutine()
	c := configs[0]
	s := NewSender(c)
	for _, blockLength := range []int{700, 2048, 65536, 131072, 300000, 1 << 20} {
		basis := random(r, 3<<20+12345)
		want := slices.Concat(basis[1<<20:2<<20+77], []byte("moved"), basis[:1<<20], random(r, 5000), basis[2<<20:])
		for _, inPlace := range []bool{false, true} {
			sum := sums(t, c, basis, blockLength, 16)
			got := deltatest.NewReceiver(sum.Head(), basis, inPlace)
			res, err := s.Search(bytes.NewReader(want), int64(len(want)), sum, inPlace, got)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c, got, res, want)
			if most := int64(5005 + 8*blockLength); !inPlace && res.Literal > most {
				t.Errorf("blocks of %d: %d bytes literal, want at most %d", blockLength, res.Literal, most)
			}
		}
	}
	noneLeft(t, before)
}

// noneLeft checks that there are no more goroutines than before. One that has
// done its work may still be on its way out.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines left", runtime.NumGoroutine()-before)
		}
	}
}

// What is found where, and in which order of preference.
func TestSearchFinds(t *testing.T) {
	c := configs[0]
	const n = 100
	r := rand.New(rand.NewPCG(5, 6))
	a, b, d, short, other := random(r, n), random(r, n), random(r, n), random(r, 30), random(r, 40)
	zero := make([]byte, n)
	for _, tc := range []struct {
		name        string
		basis, file []byte
		inPlace     bool
		blocks      []int32
		literal     int64
	}{
		{"same", cat(a, b, d), cat(a, b, d), false, []int32{0, 1, 2}, 0},
		{"same with a short end", cat(a, b, short), cat(a, b, short), false, []int32{0, 1, 2}, 0},
		{"inserted in front", cat(a, b, short), cat(other, a, b, short), false, []int32{0, 1, 2}, 40},
		{"appended to a short end", cat(a, b, short), cat(a, b, short, other), false, []int32{0, 1, 2}, 40},
		{"short end without its forerunner", cat(a, b, short), cat(a, short, other), false, []int32{0}, 70},
		{"short end at the end", cat(a, b, short), cat(other, short), false, []int32{2}, 40},
		{"only a short block", short, short, false, []int32{0}, 0},
		{"only a short block, at the end", short, cat(other, short), false, []int32{0}, 40},
		{"shorter than a block", cat(a, b), other, false, nil, 40},
		{"cut inside a block", cat(a, b), cat(a, b[:50]), false, []int32{0}, 50},
		{"swapped", cat(a, b), cat(b, a), false, []int32{1, 0}, 0},
		{"run among equal blocks", cat(zero, zero, zero, a), cat(zero, zero, zero, a), false, []int32{0, 1, 2, 3}, 0},
		{"run begins at the first of equals", cat(a, zero, b, zero, d), cat(zero, d), false, []int32{1, 4}, 0},
		{"in place same", cat(a, b, d), cat(a, b, d), true, []int32{0, 1, 2}, 0},
		{"in place from ahead", cat(a, b, d), cat(b, d), true, []int32{1, 2}, 0},
		{"in place from behind", cat(a, b, d), cat(other, a, b, d), true, nil, 340},
		{"in place swapped", cat(a, b), cat(b, a), true, []int32{1}, 100},
		{"in place, own blocks before others", cat(a, zero, b, zero, zero), cat(a, zero, zero, zero, zero), true, []int32{0, 1, 1, 3, 4}, 0},
		{"in place, behind but kept", cat(a, b, d), cat(a, a, a), true, []int32{0, 0, 0}, 0},
		{"in place short from behind", cat(a, short), cat(a, other, short), true, []int32{0}, 70},
		{"in place short at its own place", cat(a, short), cat(a, short), true, []int32{0, 1}, 0},
		{"in place short kept", cat(a, short), cat(a, short, other, short), true, []int32{0, 1, 1}, 40},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sums(t, c, tc.basis, n, 16)
			got := deltatest.NewReceiver(s.Head(), tc.basis, tc.inPlace)
			res, err := NewSender(c).Search(bytes.NewReader(tc.file), int64(len(tc.file)), s, tc.inPlace, got)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c, got, res, tc.file)
			if !slices.Equal(got.Blocks, tc.blocks) || res.Literal != tc.literal {
				t.Errorf("blocks %v and %d literal bytes, want %v and %d", got.Blocks, res.Literal, tc.blocks, tc.literal)
			}
		})
	}
}

func cat(p ...[]byte) []byte { return slices.Concat(p...) }

// A digest of 8 bytes in a second pass: 16 arrive, 8 count.
func TestSearchShortDigest(t *testing.T) {
	for _, c := range configs[1:3] {
		basis := random(rand.New(rand.NewPCG(7, 8)), 5000)
		s := sums(t, c, basis, 700, 16)
		if s.Head().Strong != 8 {
			t.Errorf("%d bytes compared", s.Head().Strong)
		}
		got := deltatest.NewReceiver(s.Head(), basis, false)
		res, err := NewSender(c).Search(bytes.NewReader(basis), 5000, s, false, got)
		if err != nil {
			t.Fatal(err)
		}
		check(t, c, got, res, basis)
		if res.Matched != 5000 {
			t.Errorf("%d bytes matched", res.Matched)
		}
	}
}

// With weak sums alone to compare nothing is taken for a match.
func TestSearchWithoutStrongSums(t *testing.T) {
	c := configs[0]
	basis := random(rand.New(rand.NewPCG(9, 10)), 5000)
	s := sums(t, c, basis, 700, 0)
	got := deltatest.NewReceiver(s.Head(), basis, false)
	res, err := NewSender(c).Search(bytes.NewReader(basis), 5000, s, false, got)
	if err != nil {
		t.Fatal(err)
	}
	check(t, c, got, res, basis)
	if res.Matched != 0 {
		t.Errorf("%d bytes matched by weak sums alone", res.Matched)
	}
}

// Strong sums of 2 bytes do collide; the checksum of the file tells the client.
func TestSearchWrongMatchIsDetected(t *testing.T) {
	c := configs[0]
	r := rand.New(rand.NewPCG(11, 12))
	// All blocks have the weak sum 0, and one in 65536 the strong sum of zeros.
	const n = 16
	zero := make([]byte, n)
	sum := checksum.NewBlock(c)
	want := sum.Sum(nil, zero)[:2]
	block := make([]byte, n)
	for {
		clear(block)
		a, b := 1+r.IntN(60), r.IntN(60)
		add := func(at, v int) { block[at] += byte(v); block[at+1] -= byte(2 * v); block[at+2] += byte(v) }
		add(0, a)
		add(3, b-30)
		add(6, r.IntN(60)-30)
		add(10, r.IntN(60)-30)
		if Weak(block) == 0 && bytes.Equal(sum.Sum(nil, block)[:2], want) {
			break
		}
	}
	s := sums(t, c, block, n, 2)
	got := deltatest.NewReceiver(s.Head(), block, false)
	res, err := NewSender(c).Search(bytes.NewReader(zero), n, s, false, got)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got.File, zero) || !slices.Equal(got.Blocks, []int32{0}) {
		t.Fatal("the sums do not collide")
	}
	if bytes.Equal(res.Sum, wholeSum(c, got.File)) || !bytes.Equal(res.Sum, wholeSum(c, zero)) {
		t.Errorf("checksum %x is not that of the file", res.Sum)
	}
}

func TestSearchOfDroppedSignatures(t *testing.T) {
	c := configs[0]
	basis := random(rand.New(rand.NewPCG(13, 14)), 10050)
	request := deltatest.Request(c, basis, 100, 16)
	// Room for 60 blocks of 101.
	s := readLimited(t, request, c, 60*36)
	if s.Len() != 60 {
		t.Fatalf("%d blocks kept", s.Len())
	}
	got := deltatest.NewReceiver(s.Head(), basis, false)
	res, err := NewSender(c).Search(bytes.NewReader(basis), int64(len(basis)), s, false, got)
	if err != nil {
		t.Fatal(err)
	}
	check(t, c, got, res, basis)
	if res.Matched != 6000 {
		t.Errorf("%d bytes matched, want 6000", res.Matched)
	}
}

// failing is a file whose reading fails from offset at on.
type failing struct {
	data []byte
	at   int64
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.at {
		return 0, f.err
	}
	n := copy(p[:min(int64(len(p)), f.at-off)], f.data[off:])
	if n < len(p) {
		return n, f.err
	}
	return n, nil
}

func TestReadErrors(t *testing.T) {
	c := configs[3]
	disk := errors.New("Input/output error")
	r := rand.New(rand.NewPCG(15, 16))
	for _, size := range []int{0, 1, 1000, 300000, 2 << 20, 3<<20 + 1} {
		data := random(r, size)
		for _, at := range []int{0, size / 2, size - 1, size} {
			if at < 0 {
				continue
			}
			for _, cause := range []error{io.EOF, nil, disk} {
				want := append(bytes.Clone(data[:at]), make([]byte, size-at)...)
				for name, send := range map[string]func(io.ReaderAt, token.Writer) (Result, error){
					"whole": func(f io.ReaderAt, w token.Writer) (Result, error) { return NewSender(c).Whole(f, int64(size), w) },
					"search": func(f io.ReaderAt, w token.Writer) (Result, error) {
						return NewSender(c).Search(f, int64(size), sums(t, c, data, 700, 16), false, w)
					},
				} {
					got := deltatest.NewReceiver(sums(t, c, data, 700, 16).Head(), data, false)
					res, err := send(failing{data, int64(at), cause}, got)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got.File, want) || !got.Ended {
						t.Errorf("%s: %d of %d bytes readable: not padded with zeros", name, at, size)
					}
					var wantErr error
					wantSum := wholeSum(c, want)
					if at < size {
						wantErr, wantSum = ErrShrunk, make([]byte, 16)
						if cause == disk {
							wantErr = disk
						}
					}
					if res.ReadErr != wantErr || !bytes.Equal(res.Sum, wantSum) {
						t.Errorf("%s: %d of %d bytes readable: %v, sum %x", name, at, size, res.ReadErr, res.Sum)
					}
				}
			}
		}
	}
}

// The wrong checksum is wrong also where the right one is all zeros.
func TestWrongSumOfNone(t *testing.T) {
	c := checksum.Config{Algorithm: checksum.None}
	got := deltatest.NewReceiver(Head{}, nil, false)
	res, err := NewSender(c).Whole(bytes.NewReader([]byte("ab")), 3, got)
	if err != nil || res.ReadErr != ErrShrunk || !bytes.Equal(res.Sum, []byte{1}) {
		t.Errorf("sum %x, %v, %v", res.Sum, res.ReadErr, err)
	}
	res, err = NewSender(c).Whole(bytes.NewReader([]byte("ab")), 2, deltatest.NewReceiver(Head{}, nil, false))
	if err != nil || res.ReadErr != nil || !bytes.Equal(res.Sum, []byte{0}) {
		t.Errorf("sum %x, %v, %v", res.Sum, res.ReadErr, err)
	}
}

// noRead is a file that must not be read.
type noRead struct{}

func (noRead) ReadAt([]byte, int64) (int, error) { panic("read") }

func TestWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, c := range append(configs, checksum.Config{Algorithm: checksum.None}) {
		s := NewSender(c)
		for _, size := range []int{3 << 20, 1, 256 << 10, 256<<10 + 1, 1<<20 - 1, 1 << 20, 100} {
			data := random(r, size)
			got := deltatest.NewReceiver(Head{}, nil, false)
			// The file has grown since it was opened.
			res, err := s.Whole(bytes.NewReader(append(data, "more"...)), int64(size), got)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c, got, res, data)
		}
		got := deltatest.NewReceiver(Head{}, nil, false)
		res, err := s.Whole(noRead{}, 0, got)
		if err != nil {
			t.Fatal(err)
		}
		check(t, c, got, res, nil)
	}
}

func TestAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for _, c := range configs {
		s := NewSender(c)
		for _, size := range []int{0, 10, 700000, 2 << 20} {
			data := random(r, size)
			for _, from := range []int{0, 1, 5, 300000, size, size + 1000} {
				for _, verify := range []bool{false, true} {
					var file io.ReaderAt = bytes.NewReader(data)
					if start := min(from, size); start == size && (!verify || size == 0) {
						file = noRead{}
					}
					got := deltatest.NewReceiver(Head{}, nil, false)
					res, err := s.Append(file, int64(size), int64(from), verify, t.Context().Err, got)
					if err != nil {
						t.Fatal(err)
					}
					sent := data[min(from, size):]
					summed := sent
					if verify {
						summed = data
					}
					if !bytes.Equal(got.File, sent) || !got.Ended || res.Literal != int64(len(sent)) || res.Matched != 0 {
						t.Errorf("size %d from %d: %d bytes", size, from, len(got.File))
					}
					if !bytes.Equal(res.Sum, wholeSum(c, summed)) {
						t.Errorf("size %d from %d verify %v: wrong sum", size, from, verify)
					}
				}
			}
		}
	}
}

// leavingFile is a file whose client goes away when it is read.
type leavingFile struct {
	leave context.CancelFunc
	reads atomic.Int64
}

func (f *leavingFile) ReadAt(p []byte, _ int64) (int, error) {
	f.reads.Add(1)
	f.leave()
	clear(p)
	return len(p), nil
}

// What stands before the appended bytes is not read to its end for a client that is
// gone: it may be a hole of years.
func TestAppendEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	file := &leavingFile{leave: cancel}
	got := deltatest.NewReceiver(Head{}, nil, false)
	_, err := NewSender(configs[0]).Append(file, 1<<40, 1<<40, true, ctx.Err, got)
	if n := file.reads.Load(); !errors.Is(err, context.Canceled) || n > 4 {
		t.Errorf("%v after %d reads, want it to end at once", err, n)
	}
}

// The connection is gone: the call ends with its error, and so does the
// goroutine that reads ahead.
func TestWriteErrors(t *testing.T) {
	c := configs[0]
	before := runtime.NumGoroutine()
	data := random(rand.New(rand.NewPCG(21, 22)), 3<<20)
	gone := errors.New("connection reset")
	s := NewSender(c)
	for after := range 20 {
		sum := sums(t, c, data[1<<20:], 131072, 16)
		got := deltatest.NewReceiver(sum.Head(), data[1<<20:], false)
		got.FailAfter, got.Err = after, gone
		if _, err := s.Search(bytes.NewReader(data), int64(len(data)), sum, false, got); err != gone {
			t.Errorf("search, %d calls: %v", after, err)
		}
		if after > 11 {
			continue
		}
		got = deltatest.NewReceiver(Head{}, nil, false)
		got.FailAfter, got.Err = after, gone
		if _, err := s.Whole(bytes.NewReader(data), int64(len(data)), got); err != gone {
			t.Errorf("whole, %d calls: %v", after, err)
		}
	}
	noneLeft(t, before)
}

// A panic while reading ahead comes out where the session can catch it.
func TestPanicOfTheReader(t *testing.T) {
	defer func() {
		if p := recover(); fmt.Sprint(p) != "read" {
			t.Errorf("panic %v", p)
		}
	}()
	NewSender(configs[0]).Whole(noRead{}, 2<<20, deltatest.NewReceiver(Head{}, nil, false))
	t.Error("no panic")
}
