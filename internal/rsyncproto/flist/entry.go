package flist

import (
	"strings"

	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/vfs"
)

// dir is a directory whose entries are listed: where they are found and what
// they are called. Entries of one directory share it.
type dir struct {
	path   vfs.Path
	name   string      // transfer name; "" at the top, "/" above absolute names
	before string      // see prefix; made when first needed
	filter *filter.Dir // rules in force inside
	dev    uint64      // device of the source argument, for -x
	extra  bool        // its entries are, see extras
}

// prefix is what stands in front of the entries' base names.
func (d *dir) prefix() string {
	switch {
	case d.name == "" || d.name == "/":
		return d.name
	case d.before == "":
		d.before = d.name + "/"
	}
	return d.before
}

// excluded reports whether the rules leave out the entry base of d.
func (d *dir) excluded(base string, isDir bool) bool {
	return d.filter.ExcludedIn(strings.TrimPrefix(d.prefix(), "/"), base, isDir)
}

// transferName is the transfer name of the entry base of d as rules know it.
func (d *dir) transferName(base string) string {
	return strings.TrimPrefix(d.prefix()+base, "/")
}

// bits of Entry.bits.
const (
	isTop      = 1 << iota // a source argument whose contents are sent
	noContent              // a directory whose contents are not sent
	isImplied              // a parent directory that -R brought along
	isFollowed             // stands for what a symbolic link leads to
	wasSent                // its data were sent once: a further request is a redo
	isExtra                // its contents are extras; not kept when packed
)

// Entry is what stays of an entry after it was sent.
type Entry struct {
	dir  *dir
	base string // last component of the transfer name; "." for a top directory
	size int64
	mode uint32
	wire int32 // position in its list as sent
	long int32 // what can be asked for of its attributes, see Builder.LongXattrs
	bits uint8
}

// Name returns the transfer name.
func (e *Entry) Name() string {
	if d := e.dir.name; d != "" {
		if d == "/" {
			return d + e.base
		}
		return d + "/" + e.base
	}
	return e.base
}

// Size returns the size in bytes that was listed.
func (e *Entry) Size() int64 { return e.size }

// IsRegular reports whether the client may ask for the entry's data.
func (e *Entry) IsRegular() bool { return e.mode&vfs.ModeType == vfs.ModeRegular }

func (e *Entry) isDir() bool { return e.mode&vfs.ModeType == vfs.ModeDir }

// MarkSent records that the entry's data were sent and reports whether they
// had been sent before.
func (e *Entry) MarkSent() (again bool) {
	again = e.bits&wasSent != 0
	e.bits |= wasSent
	return again
}

// Sent reports whether the entry's data were sent before.
func (e *Entry) Sent() bool { return e.bits&wasSent != 0 }

// Path returns where the entry is in the tree.
func (e *Entry) Path() vfs.Path {
	p := e.dir.path
	if e.base != "." {
		// Joined once before, when the entry was listed.
		p, _ = p.Join(e.base)
	}
	if e.bits&isFollowed != 0 {
		p = p.Follow()
	}
	return p
}

// compare orders entries as protocols from 29 on count them (section 2.4.1):
// by component, what is not a directory before the directories of a level.
func compare(a, b *Entry) int {
	if a.dir == b.dir || a.dir.name == b.dir.name {
		return compareLast(a, b)
	}
	x, y := a.dir.name, b.dir.name
	for x != "" && y != "" {
		var p, q string
		p, x = component(x)
		q, y = component(y)
		if c := comparePaths(p, q); c != 0 {
			return c
		}
	}
	// One directory lies below the other one (or both are spelled alike up to
	// a slash); the shorter entry is an item or a path of that level.
	switch {
	case x != "":
		return -compareWithPath(b, x)
	case y != "":
		return compareWithPath(a, y)
	}
	return compareLast(a, b)
}

// compareWithPath compares the last component of e with the first component of
// rest, which is a directory on the way to the other entry.
func compareWithPath(e *Entry, rest string) int {
	if e.isItem() {
		return -1
	}
	p, _ := component(rest)
	if c := comparePaths(e.base, p); c != 0 {
		return c
	}
	return -1 // a directory sorts before its contents
}

func component(s string) (first, rest string) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		if i == 0 && len(s) == 1 {
			return "", "" // the "/" above absolute names
		}
		return s[:i], s[i+1:]
	}
	return s, ""
}

func (e *Entry) isItem() bool { return !e.isDir() || e.base == "." }

func compareLast(a, b *Entry) int {
	if !a.isDir() && !b.isDir() { // the most common case
		return strings.Compare(a.base, b.base)
	}
	ai, bi := a.isItem(), b.isItem()
	switch {
	case ai && bi:
		return strings.Compare(a.item(), b.item())
	case ai:
		return -1
	case bi:
		return 1
	}
	return comparePaths(a.base, b.base)
}

// item is the last component as it is compared: the top directory "." counts
// as the empty string.
func (e *Entry) item() string {
	if e.base == "." && e.isDir() {
		return ""
	}
	return e.base
}

// comparePaths compares two directory names as if a slash stood behind each.
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	if c := strings.Compare(a[:n], b[:n]); c != 0 || len(a) == len(b) {
		return c
	}
	if len(a) < len(b) {
		return int('/') - int(b[n])
	}
	return int(a[n]) - int('/')
}

// compareBytes orders entries as protocols up to 28 count them: by the bytes
// of the whole name.
func compareBytes(a, b *Entry) int {
	if a.dir == b.dir {
		return strings.Compare(a.base, b.base)
	}
	return strings.Compare(a.Name(), b.Name())
}
