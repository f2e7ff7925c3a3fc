package argv

import "strings"

// Caps is the capability string of the client, the value of its -e option.
// Protocol and capabilities are independent: ask for the letter.
type Caps string

// Has reports whether the client offers the capability of this letter:
// i incremental recursion, L symlink times, s symlink conversion with iconv,
// f error marker at the end of a file list, x no xattr shortcut, C fixed
// checksum seed order, I in-place partial-dir files, v varint flags and
// negotiated algorithms, u names of uid 0 and gid 0.
func (c Caps) Has(letter byte) bool { return strings.IndexByte(string(c), letter) >= 0 }

// Pull is what a client asks the sender for: every option that the sender acts
// on, with implied ones resolved. No option that writes has a field.
type Pull struct {
	// Program is what stands before --server, such as "sudo rsync", in
	// printable form for logs. It is never executed.
	Program string

	// What is listed.

	Recurse           bool // -r
	Dirs              bool // -d; also set by Recurse, ListOnly and FilesFrom
	Relative          bool // -R; also set by FilesFrom unless --no-relative
	NoImpliedDirs     bool // --no-implied-dirs
	OneFileSystem     int  // -x: 1, -xx: 2
	CVSExclude        bool // -C: the sender adds the CVS rules after the client's
	IgnoreErrors      bool // --ignore-errors: report no I/O error in the list
	IgnoreMissingArgs bool // --ignore-missing-args
	DeleteMissingArgs bool // --delete-missing-args
	ListOnly          bool // --list-only
	// FilesFrom is --files-from: what is listed is named in a list, and Expand
	// yields exactly one argument, the names' base directory. The list follows
	// on the stream, or is the file FilesFromPath of the tree.
	FilesFrom     bool
	FilesFromPath string // as the client gave it; "": on the stream
	From0         bool   // --from0: names in that file end with NUL, not with a line

	// Symbolic links.

	Links           bool // -l: list them with their targets
	CopyLinks       bool // -L: list what they point to
	CopyDirLinks    bool // -k: the same for those that point to directories
	CopyUnsafeLinks bool // --copy-unsafe-links: the same for those that leave the tree

	// What an entry carries.

	Owner      bool // -o
	Group      bool // -g
	NumericIDs bool // --numeric-ids: no names of users and groups
	Devices    bool // --devices, part of -D
	Specials   bool // --specials (FIFOs and sockets), part of -D
	HardLinks  bool // -H
	Checksum   bool // -c
	ATimes     int  // -U: 1, -UU: 2 (read files without touching their atime)
	CRTimes    bool // -N
	ACLs       bool // -A
	Xattrs     int  // -X: 1, -XX: 2
	FakeSuper  bool // --fake-super: read what it has stored in attributes; not with -XX

	// How files are sent.

	DryRun      bool // -n
	Append      int  // --append: 1; given twice, --append-verify: 2
	Inplace     bool // --inplace
	Backup      bool // -b: below protocol 29 it lifts the restriction of Inplace
	OpenNoATime bool // --open-noatime

	// ChecksumChoice is the value of --checksum-choice, NAME or XFER,FILE,
	// unchecked; "" when the algorithms are to be negotiated.
	ChecksumChoice string
	// ChecksumSeed is the value of --checksum-seed, 0 for a random seed.
	ChecksumSeed int32

	Compress       bool   // -z
	NewCompress    bool   // --new-compress, or -z given twice
	OldCompress    bool   // --old-compress
	CompressChoice string // value of --compress-choice, unchecked, "" without
	// CompressLevel is the value of --compress-level, any int32; it counts
	// only when CompressLevelGiven.
	CompressLevel      int32
	CompressLevelGiven bool
	// SkipCompress holds the suffixes of --skip-compress without dots: nil
	// when the option is absent, empty when nothing is to be skipped.
	SkipCompress []string

	// Session.

	// Secluded is -s: the arguments are the first bytes of the stream, to be
	// read by ReadSecluded.
	Secluded bool
	// Daemon is --daemon, for host::module: protocol versions and the name of
	// a module are the first bytes of the stream, and then the arguments, to
	// be read by ReadDaemon. Until then nothing else is known.
	Daemon       bool
	Caps         Caps // letters of -e, "" before protocol 30
	NoIncRecurse bool // --no-inc-recursive, --qsort
	Protocol     int  // highest version to offer, 27..32, or 0 for no cap
	// Iconv is the value of --iconv: the character set of the names in the
	// tree, unchecked; "." is that of the server's locale; "" without.
	Iconv   string
	BWLimit int64 // KiB/s, 0 for no limit
	Timeout int   // seconds, 0 for none
	Verbose int   // number of -v
	Quiet   bool  // -q

	// Args are the arguments as the client gave them, before Expand. Empty
	// means the root.
	Args []Word
	// Alias is an absolute name, without a slash at its end, by which clients
	// may call the root too (rrsync -absolute), "" for none. It is not theirs
	// to set.
	Alias string

	// What implications are resolved from.
	zs       int
	dirs     choice
	relative choice
	munge    choice
	sender   bool

	note func(Given) // told of each option by Explain; nil: nobody
}

// choice is an option that can be given, negated or left open.
type choice int8

const (
	negated choice = iota - 1
	open
	given
)

// complete resolves what options imply; it may run again after more options.
func (p *Pull) complete() {
	p.Dirs = p.Recurse || p.dirs == given || p.dirs == open && (p.ListOnly || p.FilesFrom)
	p.Relative = p.relative == given || p.relative == open && p.FilesFrom
	p.Compress = p.zs > 0
	p.NewCompress = p.NewCompress || p.zs > 1
}

// IncRecurse reports whether the client accepts incremental recursion for this
// pull. The server is free not to use it.
func (p *Pull) IncRecurse() bool {
	return p.Recurse && p.Caps.Has('i') && !p.NoIncRecurse
}

// ExplicitCompress returns the compression algorithm that the client fixed, as
// it named it ("none" is possible), or "" when it is to be negotiated.
func (p *Pull) ExplicitCompress() string {
	switch {
	case p.CompressChoice != "":
		return p.CompressChoice
	case p.NewCompress:
		return "zlibx"
	case p.OldCompress:
		return "zlib"
	}
	return ""
}

// WantsCompression reports whether the client asked for compression. A level
// alone counts: clients since 3.2 send --compress-level without -z.
func (p *Pull) WantsCompression() bool {
	if choice := p.ExplicitCompress(); choice != "" {
		return !strings.EqualFold(choice, "none")
	}
	return p.Compress || p.CompressLevelGiven
}

// MungeLinks reports whether the targets of links are to be sent without the
// prefix of --munge-links, which the server does on its own if unasked is set.
func (p *Pull) MungeLinks(unasked bool) bool {
	return p.munge == given || p.munge == open && unasked
}

// Unalias returns a name with the alias of the root taken off: with the alias
// /srv, /srv/a is /a and /srv is /.
func (p *Pull) Unalias(name string) string {
	rest, ok := strings.CutPrefix(name, p.Alias)
	switch {
	case p.Alias == "" || !ok || rest != "" && rest[0] != '/':
		return name
	case rest == "":
		return "/"
	}
	return rest
}

// NoAtime reports whether files are to be read without touching their access
// times.
func (p *Pull) NoAtime() bool { return p.OpenNoATime || p.ATimes > 1 }

// NegotiatesChecksum reports whether the checksum is left to negotiation.
func (p *Pull) NegotiatesChecksum() bool { return p.ChecksumChoice == "" }
