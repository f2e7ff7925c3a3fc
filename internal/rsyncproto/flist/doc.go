// Package flist builds, encodes and numbers the file lists of a pull: what
// becomes an entry, the entry on the wire, the order in which both sides count
// entries, and incremental recursion (docs/how-it-works.md, "The file list").
//
// A [Builder] walks the sources and sends each entry as it meets it; what it
// keeps of an entry is what a later request needs, packed into its name and
// about 6 bytes. A [List] answers "entry i": the first such question unpacks and
// sorts it, and a client that has everything already asks none.
package flist

import (
	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// Options is what the session knows that shapes the list.
type Options struct {
	Version wire.Version
	FS      vfs.FS
	// Filters is the client's rule list. It is never nil.
	Filters *filter.List

	Recurse, Dirs                               bool // -r, -d
	Links                                       bool // -l: targets are sent
	CopyLinks, CopyDirLinks, CopyUnsafeLinks    bool // -L, -k, --copy-unsafe-links
	HardLinks                                   bool // -H
	Owner, Group, Devices, Specials, NumericIDs bool
	ATimes                                      bool // -U
	CRTimes                                     bool // -N, with VarintFlags
	ACLs                                        bool // -A, from protocol 30 on
	Xattrs                                      int  // number of -X, from protocol 30 on
	FakeSuper                                   bool // -A and -X: attributes are those that --fake-super has stored
	Relative, NoImpliedDirs                     bool // -R, --no-implied-dirs
	OneFileSystem                               int  // number of -x
	IgnoreErrors                                bool // --ignore-errors: report no I/O error
	IgnoreMissing, DeleteMissing                bool // --ignore-missing-args, --delete-missing-args

	// Incremental recursion: lists directory by directory.
	Incremental bool
	// Compat flags that change the list's bytes (protocol section 3.2).
	VarintFlags, SafeFlist, ID0Names bool

	// Encode gives names the character set of the wire (--iconv); nil: they
	// are sent as they are. With it both sides count entries in the order in
	// which they are sent. EncodeTargets: targets of links too.
	Encode        func(name string) (string, error)
	EncodeTargets bool
	// Unmunge takes the prefix of --munge-links from targets of links.
	Unmunge bool

	// Explain is told which rule decided about a name (-vv); nil: nobody asks.
	Explain func(name string, isDir bool, why filter.Decision)

	// Sums computes the checksums of -c; nil without -c.
	Sums Summer
	// SumLen is the length of a checksum in bytes, 0 without -c.
	SumLen int

	// UserName and GroupName give the name of an id, "" when it has none.
	UserName, GroupName func(id uint32) string

	// Report tells the client and the log about something that is not sent.
	// Its error ends the list.
	Report func(Problem) error
}

// Kind says what went wrong with one name.
type Kind int

// What can go wrong while a list is built (protocol sections 2.1.3, 2.1.7).
const (
	LinkStat     Kind = iota // a source that cannot be examined
	ChangeDir                // the directory of a source cannot be entered
	OpenDir                  // a directory cannot be opened
	ReadDir                  // a directory cannot be read to its end
	ReadlinkStat             // an entry cannot be examined
	Vanished                 // an entry went away while it was being listed
	DirVanished              // a directory went away while it was being listed
	NoReferent               // a link to be followed leads nowhere or out of the tree
	NameTooLong              // transfer name or path over 4095 bytes
	EmptyLink                // a symbolic link without a target
	SkippedDir               // a directory where neither -r nor -d was given
	UnsafeLink               // a link that --copy-unsafe-links replaces by its referent
	BadName                  // a name that the character set of the wire does not have
	BadTarget                // the same of the target of a link
	AccessACL                // an object whose access control list cannot be read
	DefaultACL               // a directory whose default access control list cannot be read
	XattrNames               // an object whose attributes cannot be listed
	XattrValue               // an attribute that cannot be read
)

// Problem is one name that is not (wholly) sent.
type Problem struct {
	Kind Kind
	Path string // as seen from the root, with a leading slash; SkippedDir, BadName: the transfer name
	Attr string // XattrValue: the attribute's name
	Err  error  // may be nil
}
