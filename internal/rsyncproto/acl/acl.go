// Package acl reads POSIX access control lists in the form in which Linux keeps
// them as extended attributes, and reduces them to what rsync sends (protocol
// section 2.6.1).
package acl

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// Names of the extended attributes that hold the lists, both with the same
// layout.
const (
	Access  = "system.posix_acl_access"
	Default = "system.posix_acl_default"
)

// Perm is what an entry allows: 4 read, 2 write, 1 execute.
type Perm uint8

// None stands for an entry that is not there.
const None Perm = 0xff

// Named is the entry of a user or group that is not the owner.
type Named struct {
	ID    uint32
	Perm  Perm
	Group bool
}

// ACL is one list. The single entries are None where they are missing.
type ACL struct {
	Owner, Group, Mask, Other Perm
	// Named are the users, then the groups, each by ascending id.
	Named []Named
}

// Empty returns a list without entries: what plain permissions reduce to, and
// what a directory without a default list has.
func Empty() ACL { return ACL{Owner: None, Group: None, Mask: None, Other: None} }

// Layout of the attribute (linux/posix_acl_xattr.h): a version, then entries of
// tag, permissions and id, little endian.
const (
	version    = 2
	headerSize = 4
	entrySize  = 8
)

// Tags of entries (linux/posix_acl.h).
const (
	tagOwner      = 0x01 // ACL_USER_OBJ
	tagUser       = 0x02 // ACL_USER
	tagGroup      = 0x04 // ACL_GROUP_OBJ
	tagNamedGroup = 0x08 // ACL_GROUP
	tagMask       = 0x10 // ACL_MASK
	tagOther      = 0x20 // ACL_OTHER
)

// ErrSyntax is an attribute that is no access control list.
var ErrSyntax = errors.New("malformed access control list")

// Parse reads the value of the attribute Access or Default.
func Parse(blob []byte) (ACL, error) {
	a := Empty()
	if len(blob) < headerSize || (len(blob)-headerSize)%entrySize != 0 || binary.LittleEndian.Uint32(blob) != version {
		return a, ErrSyntax
	}
	for e := blob[headerSize:]; len(e) > 0; e = e[entrySize:] {
		perm := binary.LittleEndian.Uint16(e[2:])
		if perm > 7 || !a.add(binary.LittleEndian.Uint16(e), Perm(perm), binary.LittleEndian.Uint32(e[4:])) {
			return Empty(), ErrSyntax
		}
	}
	slices.SortStableFunc(a.Named, compare)
	return a, nil
}

// add adds an entry. It reports whether there can be one of that tag.
func (a *ACL) add(tag uint16, p Perm, id uint32) bool {
	switch tag {
	case tagUser, tagNamedGroup:
		a.Named = append(a.Named, Named{id, p, tag == tagNamedGroup})
		return true
	case tagOwner:
		return once(&a.Owner, p)
	case tagGroup:
		return once(&a.Group, p)
	case tagMask:
		return once(&a.Mask, p)
	case tagOther:
		return once(&a.Other, p)
	}
	return false
}

func once(entry *Perm, p Perm) bool {
	free := *entry == None
	*entry = p
	return free
}

// compare orders users before groups, then by id.
func compare(a, b Named) int {
	switch {
	case a.Group == b.Group:
		return cmp.Compare(a.ID, b.ID)
	case a.Group:
		return 1
	}
	return -1
}

// Reduce leaves out of an access list what the permission bits of the object's
// mode say already.
func (a *ACL) Reduce(mode uint32) {
	a.Owner, a.Other = None, None
	group := Perm(mode >> 3 & 7)
	switch {
	case a.Mask == None:
		a.Group = None
		return
	case a.Group == group:
		a.Group = None
	}
	if len(a.Named) > 0 && a.Mask == group {
		a.Mask = None
	}
}
