package flist

import (
	"encoding/binary"
	"testing"
)

// Lists beyond the bound are numbered and sent, but not found again.
func TestNumberingIsBounded(t *testing.T) {
	var n numbering
	list := func(i int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(i)) }
	for i := range maxRemembered + 2 {
		if number, known := n.of(list(i)); known || number != int32(i+1) {
			t.Fatalf("list %d has number %d, known %v", i, number, known)
		}
	}
	if len(n.known) != maxRemembered {
		t.Errorf("%d lists remembered", len(n.known))
	}
	for i, want := range map[int]int32{0: 1, maxRemembered - 1: maxRemembered} {
		if number, known := n.of(list(i)); !known || number != want {
			t.Errorf("list %d has number %d, known %v", i, number, known)
		}
	}
	if number, known := n.of(list(maxRemembered)); known || number != maxRemembered+3 {
		t.Errorf("the list beyond has number %d, known %v", number, known)
	}
}

// Keys of lists that differ differ, also where bytes move from one attribute to
// the next.
func TestXattrKeys(t *testing.T) {
	var c attrEncoder
	seen := map[string]int{}
	for i, list := range [][]xattr{
		nil,
		{newXattr("a", nil)},
		{newXattr("a", []byte("b"))},
		{newXattr("ab", nil)},
		{newXattr("a", nil), newXattr("b", nil)},
		{newXattr("a", []byte("b\x00")), newXattr("b", nil)},
		{newXattr("a", make([]byte, 32))},
		{newXattr("a", make([]byte, 33))},
		{newXattr("a", make([]byte, 34))},
	} {
		key := string(c.xattrKey(list))
		if j, ok := seen[key]; ok {
			t.Errorf("lists %d and %d have the same key %q", i, j, key)
		}
		seen[key] = i
	}
}

// Lists that differ in values share what can be asked for.
func TestLayouts(t *testing.T) {
	var c attrEncoder
	long := func(b byte, n int) []byte {
		v := make([]byte, n)
		v[0] = b
		return v
	}
	short := []xattr{newXattr("user.a", long(1, 32))}
	if n := c.layout(short); n != 0 {
		t.Errorf("short values have layout %d", n)
	}
	one := c.layout([]xattr{newXattr("user.a", long(1, 32)), newXattr("user.b", long(1, 33))})
	same := c.layout([]xattr{newXattr("user.a", long(2, 10)), newXattr("user.b", long(2, 330))})
	moved := c.layout([]xattr{newXattr("user.b", long(2, 330))})
	if one == 0 || same != one || moved == one {
		t.Errorf("layouts %d, %d, %d", one, same, moved)
	}
	if got := c.long[one]; len(got) != 1 || got[0] != (LongXattr{2, "user.b"}) {
		t.Errorf("long values %+v", got)
	}
}
