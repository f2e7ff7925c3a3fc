package flist

import (
	"slices"

	"rrserve/internal/rsyncproto/wire"
)

// group is a directory whose list is to be sent: its number, and the entries
// of that name (more than one where sources overlap).
type group struct {
	number  int32
	entries []*Entry
}

// numbered is a directory and the number by which its list is announced.
type numbered struct {
	*Entry
	number int32
}

// queue numbers the directories of a list and plans their lists, which come
// depth first in sorted order (section 2.5.3).
func (b *Builder) queue(l *List) {
	if l.compare != nil {
		slices.SortFunc(l.subdirs, l.compare)
	}
	var dirs []numbered
	for _, e := range l.subdirs {
		dirs = append(dirs, numbered{e, b.dirs})
		b.dirs++
	}
	l.subdirs = nil
	if l.compare == nil { // the entries are in the order sent
		slices.SortStableFunc(dirs, func(x, y numbered) int { return compare(x.Entry, y.Entry) })
	}
	var groups []*group
	var last *group
	for _, e := range dirs {
		switch {
		case e.base == ".":
		case last != nil && compare(last.entries[0], e.Entry) == 0:
			last.entries = append(last.entries, e.Entry)
		default:
			last = &group{e.number, []*Entry{e.Entry}}
			groups = append(groups, last)
		}
	}
	if len(groups) > 0 {
		b.pending = append(b.pending, groups)
	}
}

// More reports whether lists are still to be sent.
func (b *Builder) More() bool { return b.o.Incremental && !b.ended }

// Next sends the next list, or the word that there is none, for which it
// returns nil. Errors are those of First.
func (b *Builder) Next() (*List, error) {
	g := b.nextGroup()
	if g == nil {
		b.ended = true
		b.w.Ndx(b.o.Version, wire.NdxFlistEOF)
		return nil, b.w.Err()
	}
	b.w.Ndx(b.o.Version, wire.NdxFlistOffset-g.number)
	b.begin()
	b.list.dirs = g.entries
	for i, e := range g.entries {
		if e.bits&noContent != 0 || listedBefore(g.entries[:i], e) {
			continue
		}
		d, err := b.inside(e)
		if err != nil {
			return nil, err
		}
		if _, err := b.contents(d); err != nil {
			return nil, err
		}
	}
	return b.finish(false)
}

// nextGroup takes the next directory in depth-first order.
func (b *Builder) nextGroup() *group {
	n := len(b.pending)
	if n == 0 {
		return nil
	}
	level := b.pending[n-1]
	g := level[0]
	level[0] = nil
	if level = level[1:]; len(level) == 0 {
		b.pending = b.pending[:n-1]
	} else {
		b.pending[n-1] = level
	}
	return g
}

// listedBefore reports whether e is the same directory as one of the others.
func listedBefore(others []*Entry, e *Entry) bool {
	for _, o := range others {
		if o.bits&noContent == 0 && o.Path() == e.Path() {
			return true
		}
	}
	return false
}
