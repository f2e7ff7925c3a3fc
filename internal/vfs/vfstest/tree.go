// Package vfstest holds every [vfs.FS] to the same contract.
package vfstest

import (
	"fmt"
	"strings"

	"rrserve/internal/vfs"
)

// Entry is one object of the tree that Test looks at. Parents come before
// their entries.
type Entry struct {
	Name  string // slash-separated, without a leading slash
	Mode  uint32 // type and permission bits, as vfs.Info.Mode
	Data  string // content of a regular file, text of a symbolic link
	Mtime vfs.Time
}

// Can tells what a file system under test is able to hold.
type Can struct {
	Links  bool // symbolic links, FIFOs, and errors that tell ENOTDIR from ENOENT
	Inodes bool // device and inode numbers
}

// OutsideName is the name, beside the root, of a directory which the one who
// builds the tree puts there if the file system can hold links. It has a file
// "secret" with the content Secret.
const (
	OutsideName = "outside"
	Secret      = "the secret content"
)

const (
	file = vfs.ModeRegular
	dir  = vfs.ModeDir
	link = vfs.ModeSymlink
	fifo = vfs.ModeFIFO
)

// many is the number of entries of the directory "many", more than one chunk
// of a listing or, with names this long, one buffer of a system call holds.
const (
	many     = 1500
	manyName = "many/%070d"
)

// lines is a content longer than one page, of which every part is different.
var lines = func() string {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}()

// odd are names that are awkward to others than the file system.
var odd = []string{
	"a\nb",
	"\x01\x1b[31m",
	"not utf-8 \xff\xfe",
	" leading and trailing ",
	"-rf",
	"back\\slash",
	"*?[a]{b,c}~",
	"...",
	"..a",
	".hidden",
	"ü",       // one code point
	"u\u0308", // the same to the eye
	strings.Repeat("n", 255),
	strings.Repeat("\xee", 255),
}

// Tree returns the tree that Test expects, as far as a file system can hold it.
func Tree(can Can) []Entry {
	t := vfs.Time{Sec: 1234567890, Nsec: 123456789}
	tree := []Entry{
		{"empty", file | 0o644, "", t},
		{"file", file | 0o640, "content\n", t},
		{"lines", file | 0o444, lines, vfs.Time{Sec: 1}},
		{"old", file | 0o600, "x", vfs.Time{Sec: -86400, Nsec: 5}},
		{"special", file | 0o6755, "x", t},
		{"dir", dir | 0o755, "", t},
		{"dir/a", dir | 0o700, "", t},
		{"dir/a/b", dir | 0o1777, "", t},
		{"dir/a/b/c", file | 0o644, "deep", t},
		{"dir/none", dir | 0o755, "", t},
		{"odd", dir | 0o755, "", t},
		{"many", dir | 0o755, "", t},
	}
	for _, name := range odd {
		tree = append(tree, Entry{"odd/" + name, file | 0o644, name, t})
	}
	for i := range many {
		tree = append(tree, Entry{fmt.Sprintf(manyName, i), file | 0o644, "", t})
	}
	if can.Links {
		tree = append(tree, links(t)...)
	}
	return tree
}

func links(t vfs.Time) []Entry {
	tree := []Entry{
		{"fifo", fifo | 0o644, "", t},
		{"to-file", link | 0o777, "file", t},
		{"to-dir", link | 0o777, "dir/a", t},
		{"to-fifo", link | 0o777, "fifo", t},
		{"to-nothing", link | 0o777, "no/such", t},
		{"to-self", link | 0o777, "to-self", t},
		{"ring1", link | 0o777, "ring2", t},
		{"ring2", link | 0o777, "ring1", t},
		{"dir/up", link | 0o777, "../file", t},
		{"dir/a/root", link | 0o777, "../..", t},
		{"dir/winding", link | 0o777, "../dir/./a/../a//b/c", t},
		{"dot", link | 0o777, ".", t},
		{"odd-link", link | 0o777, "\xff\n text", t},
		{"long-link", link | 0o777, strings.Repeat("t", 4000), t},
		{"chain0", link | 0o777, "file", t},
		{"out-up", link | 0o777, "..", t},
		{"out-secret", link | 0o777, "../" + OutsideName + "/secret", t},
		{"out-dir", link | 0o777, "../" + OutsideName, t},
		{"out-etc", link | 0o777, "/etc", t},
		{"out-root", link | 0o777, "/", t},
		{"out-deep", link | 0o777, "dir/a/b/../../../../" + OutsideName + "/secret", t},
		{"dir/a/out", link | 0o777, "root/../" + OutsideName + "/secret", t},
		{"out-chain", link | 0o777, "to-out-dir/secret", t},
		{"to-out-dir", link | 0o777, "out-dir", t},
	}
	for i := 1; i < 8; i++ {
		tree = append(tree, Entry{fmt.Sprintf("chain%d", i), link | 0o777, fmt.Sprintf("chain%d", i-1), t})
	}
	return tree
}
