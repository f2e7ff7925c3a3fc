package flist

import (
	"hash/maphash"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// maxExtras is how many extra entries a list may have if it has not as many others.
const maxExtras = 1_000_000

// extras counts the entries that a client gets for asking, and not because they
// are in the tree: of sources that are given again or are missing, of directories
// that lie in another source too, or that links lead to again and again. Stock lists
// all of them as often as it is told to. Here the list of a client that tells too
// often would take the memory of all others. The directories that -R brings along are
// not counted: they come with each name whose way is another, as in a list that is
// not sorted.
type extras struct {
	seed        maphash.Seed
	known       map[uint64]struct{} // hashes of what was listed: directories and sources
	n, ordinary int64
}

func newExtras() extras { return extras{seed: maphash.MakeSeed(), known: map[uint64]struct{}{}} }

// again reports whether it was asked about the hash before.
func (x *extras) again(hash uint64) bool {
	_, known := x.known[hash]
	x.known[hash] = struct{}{}
	return known
}

// source reports whether a source was sent before.
func (x *extras) source(at vfs.Path) bool { return x.again(maphash.String(x.seed, at.String())) }

// directory reports whether the contents of a directory were sent before, whatever
// it was called. Where directories have no numbers they go by their names. The time is
// for file systems that give one number to many.
func (x *extras) directory(e *Entry, in *vfs.Info) bool {
	if in.Ino == 0 {
		return x.again(maphash.String(x.seed, e.Path().String()+"/"))
	}
	return x.again(maphash.Comparable(x.seed, struct {
		inode
		mtime vfs.Time
	}{inode{in.Dev, in.Ino}, in.Mtime}))
}

// count counts an entry. The error is that of one extra entry too many.
func (x *extras) count(extra bool) error {
	if !extra {
		x.ordinary++
		return nil
	}
	if x.n++; x.n <= max(maxExtras, x.ordinary) {
		return nil
	}
	return &wire.RangeError{What: "number of entries that are listed again", Got: x.n, Max: x.n - 1}
}
