// Package vfs is the read-only view of a served tree that the rsync engine sees.
//
// An [FS] can look, list, read a link, open a file for reading and read
// extended attributes; nothing else can be asked of it. A name of the tree is a [Path], and the only way to
// get one is a parser that yields rooted, cleaned names without ".." and NUL,
// so a name that leaves the tree cannot be written down. [Info], [File] and
// [Xattrs] are structs, not interfaces: no writing method can be asserted out of them.
//
// Confinement itself (symbolic links, races, magic links) is the business of
// the file system below; see internal/jail.
package vfs

// FS is a read-only tree. All methods are safe for concurrent use.
//
// The last component of a Path is not followed when it is a symbolic link,
// unless the Path was made by [Path.Follow]. Links in the other components are
// followed as far as they resolve beneath the root. Errors are *[Error].
type FS interface {
	// Lstat describes the object that p names.
	Lstat(p Path) (Info, error)
	// ReadDir lists the directory p without "." and "..", in directory order
	// (not sorted). It puts the entries into the memory of buf, whatever is
	// there, as far as that is enough; buf may be nil. An entry that was listed
	// but could not be examined is present with Info.Err set and only its name
	// valid. A read error in the middle comes together with the entries read so
	// far. The names may share memory: strings.Clone the few that outlive the
	// listing.
	ReadDir(p Path, buf []Info) ([]Info, error)
	// Readlink returns the text of the symbolic link p, unresolved. It never
	// follows p.
	Readlink(p Path) (string, error)
	// Open opens the regular file p for reading. It never blocks and refuses
	// anything that is not a regular file.
	Open(p Path) (*File, error)
	// Xattrs finds the object p, of whatever type, for its extended attributes
	// and for nothing else. It never blocks. That there is no such object may
	// also be found out only when they are read.
	Xattrs(p Path) (*Xattrs, error)
}
