package jail

import (
	"encoding/binary"
	"testing"
)

// dirent is one record as getdents64 writes it.
func dirent(name string, ino uint64) []byte {
	b := binary.NativeEndian.AppendUint64(nil, ino)
	b = binary.NativeEndian.AppendUint64(b, 1)
	size := (19 + len(name) + 1 + 7) &^ 7
	b = binary.NativeEndian.AppendUint16(b, uint16(size))
	b = append(b, 8) // DT_REG
	b = append(b, name...)
	return append(b, make([]byte, size-len(b))...)
}

func TestSpan(t *testing.T) {
	join := func(records ...[]byte) (all []byte) {
		for _, r := range records {
			all = append(all, r...)
		}
		return all
	}
	broken := dirent("broken", 1)
	broken[16] = 200 // longer than what is left
	endless := dirent("endless", 1)
	endless[16] = 0
	unterminated := dirent("12345", 1) // 19+5 bytes: the NUL opens the padding
	unterminated = unterminated[:24]
	unterminated[16] = 24
	for _, c := range []struct {
		name                string
		records             []byte
		want                int
		size, count, length int
	}{
		{"none", nil, 10, 0, 0, 0},
		{"dots", join(dirent(".", 1), dirent("..", 1)), 10, 48, 0, 0},
		{"three dots", dirent("...", 1), 10, 24, 1, 3},
		{"inode 0", dirent("a", 0), 10, 24, 1, 1},
		{"all", join(dirent(".", 1), dirent("a", 1), dirent("b", 1)), 10, 72, 2, 2},
		{"wanted", join(dirent("a", 1), dirent("b", 1), dirent("c", 1)), 2, 48, 2, 2},
		{"before the broken", join(dirent("a", 1), broken), 10, 24, 1, 1},
		{"broken", broken, 10, 0, 0, 0},
		{"endless", endless, 10, 0, 0, 0},
		{"unterminated", unterminated, 10, 0, 0, 0},
		{"short", dirent("a", 1)[:18], 10, 0, 0, 0},
		{"no name", dirent("", 1), 10, 0, 0, 0},
	} {
		size, count, length := span(c.records, c.want)
		if size != c.size || count != c.count || length != c.length {
			t.Errorf("%s: size %d count %d length %d, want %d %d %d", c.name, size, count, length, c.size, c.count, c.length)
		}
	}
}
