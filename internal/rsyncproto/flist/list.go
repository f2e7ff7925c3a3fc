package flist

import (
	"slices"

	"rrserve/internal/rsyncproto/wire"
)

// List is one list as both sides count it.
type List struct {
	// Start is the index of the first entry.
	Start int32
	// sent is what was sent, until an entry is asked for; then it is in entries
	// in counting order.
	sent    packed
	entries []*Entry
	// compare gives the counting order; nil: it is the order sent (--iconv).
	compare func(a, b *Entry) int
	// dirs are the sources of the directory that the list belongs to; nil
	// for the first list.
	dirs []*Entry
	// subdirs are the directories in the list, in the order sent; with
	// incremental recursion, until their own lists are planned.
	subdirs []*Entry
}

// Len returns the number of entries.
func (l *List) Len() int { return int(l.sent.n) }

// Entry returns the entry with index ndx, which must belong to the list. The
// index before the first names the list's own directory: that of the first
// list is its ".", nil if there is none.
func (l *List) Entry(ndx int32) *Entry {
	if ndx < l.Start && len(l.dirs) > 0 {
		return l.dirs[0]
	}
	if l.entries == nil {
		l.unpack()
	}
	switch {
	case ndx >= l.Start:
		return l.entries[ndx-l.Start]
	case len(l.entries) > 0 && l.entries[0].base == ".":
		return l.entries[0]
	}
	return nil
}

// unpack brings the entries into the order in which they are counted.
func (l *List) unpack() {
	l.entries = l.sent.entries()
	l.sent.data, l.sent.dirs = nil, nil
	if l.compare != nil {
		slices.SortFunc(l.entries, l.compare)
	}
}

// countingOrder is the order in which entries are counted. Equal names keep the
// order in which they were sent.
func countingOrder(v wire.Version) func(a, b *Entry) int {
	cmp := compare
	if !v.SortsDirsLast() {
		cmp = compareBytes
	}
	return func(a, b *Entry) int {
		if c := cmp(a, b); c != 0 {
			return c
		}
		return int(a.wire) - int(b.wire)
	}
}
