package flist

import (
	"slices"

	"rrserve/internal/rsyncproto/wire"
)

// List is one list as both sides count it.
type List struct {
	// Start is the index of the first entry.
	Start int32
	// entries are in counting order once the list is sealed, in the order
	// sent before, which is the counting order of --iconv.
	entries []*Entry
	// dirs are the sources of the directory that the list belongs to; nil
	// for the first list.
	dirs []*Entry
}

// Len returns the number of entries.
func (l *List) Len() int { return len(l.entries) }

// Entry returns the entry with index ndx, which must belong to the list. The
// index before the first names the list's own directory: that of the first
// list is its ".", nil if there is none.
func (l *List) Entry(ndx int32) *Entry {
	switch {
	case ndx >= l.Start:
		return l.entries[ndx-l.Start]
	case len(l.dirs) > 0:
		return l.dirs[0]
	case len(l.entries) > 0 && l.entries[0].base == ".":
		return l.entries[0]
	}
	return nil
}

// seal sorts the entries into the order in which they are counted. Equal names
// keep the order in which they were sent.
func (l *List) seal(v wire.Version) {
	cmp := compare
	if !v.SortsDirsLast() {
		cmp = compareBytes
	}
	slices.SortFunc(l.entries, func(a, b *Entry) int {
		if c := cmp(a, b); c != 0 {
			return c
		}
		return int(a.wire) - int(b.wire)
	})
}
