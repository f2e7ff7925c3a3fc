package fakesuper

import (
	"strconv"
	"strings"

	"rrserve/internal/vfs"
)

// Attr is the attribute that holds what the object is said to be:
//
//	MODE MAJOR,MINOR UID:GID
//
// MODE is octal and has the type, the others are decimal.
const Attr = "user.rsync.%stat"

// maxAttr is the longest value in bytes that is looked at, as in rsync.
const maxAttr = 255

// apply puts what the attribute's value says into in. It reports whether the
// value is well formed; if it is not, in is unchanged. What stands behind the
// last number does not matter.
func apply(value string, in *vfs.Info) bool {
	s := scanner{rest: value, ok: true}
	mode := s.number(8)
	major := s.number(10)
	s.literal(',')
	minor := s.number(10)
	uid := s.number(10)
	s.literal(':')
	gid := s.number(10)
	if !s.ok || !isType(mode&vfs.ModeType) {
		return false
	}
	in.Mode, in.RdevMajor, in.RdevMinor, in.UID, in.GID = mode&maxMode, major, minor, uid, gid
	return true
}

// maxMode are the bits that a mode has on the wire.
const maxMode = vfs.ModeType | 0o7777

func isType(t uint32) bool {
	switch t {
	case vfs.ModeSocket, vfs.ModeSymlink, vfs.ModeRegular, vfs.ModeBlock, vfs.ModeDir, vfs.ModeChar, vfs.ModeFIFO:
		return true
	}
	return false
}

// scanner reads numbers as scanf(3) does, whose rules rsync's reading has:
// blanks before a number, signs, and numbers too large cut to 32 bits.
type scanner struct {
	rest string
	ok   bool
}

func (s *scanner) number(base int) uint32 {
	s.rest = strings.TrimLeft(s.rest, " \t\n\v\f\r")
	end := 0
	if s.rest != "" && (s.rest[0] == '-' || s.rest[0] == '+') {
		end++
	}
	for end < len(s.rest) && s.rest[end] >= '0' && int(s.rest[end]) < '0'+base {
		end++
	}
	// Out of range is the nearest number that is in range.
	n, err := strconv.ParseInt(s.rest[:end], base, 64)
	if err != nil && n == 0 {
		s.ok = false
	}
	s.rest = s.rest[end:]
	return uint32(n)
}

func (s *scanner) literal(c byte) {
	if s.rest == "" || s.rest[0] != c {
		s.ok = false
		return
	}
	s.rest = s.rest[1:]
}
