package flist

import "encoding/binary"

// packedSize is about what an entry with a name of ten bytes takes.
const packedSize = 16

// packed is entries in the order sent as long as nobody asks for one: their
// names and about 6 bytes each in place of about 70, and no pointers. Where a
// client has everything already, none is ever asked for.
//
//	byte     Entry.bits, and the flags below
//	uvarint  Entry.mode, if it is another than before
//	uvarint  Entry.long, if there is one
//	uvarint  Entry.size
//	uvarint  length of Entry.base, and its bytes
type packed struct {
	data []byte
	dirs []*dir // by number
	mode uint32 // of the last entry
	n    int32  // number of entries
}

// Flags in the first byte of an entry, which has the bits of Entry.bits too.
const (
	packedDir  = 1 << (5 + iota) // in another directory
	packedMode                   // of another mode
	packedLong                   // with attributes that can be asked for
	packedBits = packedDir - 1
)

// add appends an entry.
func (p *packed) add(e *Entry) {
	at := len(p.data)
	p.data = append(p.data, e.bits&packedBits)
	if len(p.dirs) == 0 || p.dirs[len(p.dirs)-1] != e.dir {
		p.data[at] |= packedDir
		p.dirs = append(p.dirs, e.dir)
	}
	if e.mode != p.mode {
		p.data[at] |= packedMode
		p.data = binary.AppendUvarint(p.data, uint64(e.mode))
		p.mode = e.mode
	}
	if e.long != 0 {
		p.data[at] |= packedLong
		p.data = binary.AppendUvarint(p.data, uint64(e.long))
	}
	p.data = binary.AppendUvarint(p.data, uint64(e.size))
	p.data = binary.AppendUvarint(p.data, uint64(len(e.base)))
	p.data = append(p.data, e.base...)
	p.n++
}

// entries returns the entries in the order sent.
func (p *packed) entries() []*Entry {
	text := string(p.data) // of which names are parts
	slab := make([]Entry, p.n)
	all := make([]*Entry, p.n)
	r := unpacker{rest: p.data}
	var mode uint32
	dirs := p.dirs
	var in *dir
	for i := range slab {
		flags := r.rest[0]
		r.rest = r.rest[1:]
		e := &slab[i]
		all[i] = e
		if flags&packedDir != 0 {
			in, dirs = dirs[0], dirs[1:]
		}
		if flags&packedMode != 0 {
			mode = uint32(r.number())
		}
		if flags&packedLong != 0 {
			e.long = int32(r.number())
		}
		e.dir, e.mode, e.bits, e.wire = in, mode, flags&packedBits, int32(i)
		e.size = int64(r.number())
		length := int(r.number())
		at := len(text) - len(r.rest)
		e.base = text[at : at+length]
		r.rest = r.rest[length:]
	}
	return all
}

type unpacker struct{ rest []byte }

func (u *unpacker) number() uint64 {
	n, size := binary.Uvarint(u.rest)
	u.rest = u.rest[size:]
	return n
}
