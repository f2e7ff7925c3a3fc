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

// Entry returns the entry with index ndx, which must belong to the list; nil
// for the index before the first, which names the list's own directory.
func (l *List) Entry(ndx int32) *Entry {
	if ndx < l.Start {
		return nil
	}
	return l.entries[ndx-l.Start]
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
