package flist

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"rrserve/internal/vfs"
)

// What is kept of a list as long as nobody asks for an entry: for a file with
// the mode of the one before, its name and at most 6 bytes up to 256 MiB.
func TestPackedSize(t *testing.T) {
	var p packed
	d := &dir{name: "home/user/photos"}
	const files, name = 1000, "IMG_20240101_123456.jpg"
	for i := range files {
		p.add(&Entry{dir: d, base: name, mode: vfs.ModeRegular | 0o644, size: 1<<28 - int64(i) - 1})
	}
	if most := files*(len(name)+6) + 4; len(p.data) > most {
		t.Errorf("%d entries take %d bytes, more than %d", files, len(p.data), most)
	}
}

func TestPackedEntries(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	dirs := []*dir{{name: "a"}, {name: "b"}, {name: "a"}}
	modes := []uint32{0, vfs.ModeRegular | 0o644, vfs.ModeDir | 0o7777, vfs.ModeSymlink | 0o777}
	sizes := []int64{0, 1, 127, 128, 1 << 40, math.MaxInt64, -1}
	names := []string{".", "a", "\xff\n", strings.Repeat("n", 255), strings.Repeat("long/", 800)}
	var want []Entry
	var p packed
	for i := range 2000 {
		e := Entry{
			dir: dirs[rnd.IntN(len(dirs))], base: names[rnd.IntN(len(names))], size: sizes[rnd.IntN(len(sizes))],
			mode: modes[rnd.IntN(len(modes))], wire: int32(i), bits: uint8(rnd.IntN(packedBits + 1)),
		}
		if rnd.IntN(2) == 0 {
			e.long = rnd.Int32()
		}
		want = append(want, e)
		p.add(&e)
	}
	got := p.entries()
	if len(got) != len(want) || int(p.n) != len(want) {
		t.Fatalf("%d entries of %d", len(got), len(want))
	}
	for i, e := range got {
		if *e != want[i] {
			t.Fatalf("entry %d: %+v, want %+v", i, *e, want[i])
		}
	}
}
