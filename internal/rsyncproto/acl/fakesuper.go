package acl

import "encoding/binary"

// Names of the attributes in which rsync's --fake-super keeps the lists.
const (
	FakeAccess  = "user.rsync.%aacl"
	FakeDefault = "user.rsync.%dacl"
)

// Layout of such an attribute, in 32-bit numbers, little endian: owner, group,
// mask, other, then for each named entry its id and its permissions.
const (
	fakeNone   = 0x80    // NO_ENTRY
	fakeUser   = 1 << 31 // NAME_IS_USER: the id is that of a user
	fakeHeader = 4 * 4
	fakeNamed  = 2 * 4
)

// ParseFake reads the value of the attribute FakeAccess or FakeDefault of an
// object with this mode, which fills in for permissions that are left out. Named
// entries are in the order in which they are sent.
func ParseFake(blob []byte, mode uint32) (ACL, error) {
	if len(blob) < fakeHeader || (len(blob)-fakeHeader)%fakeNamed != 0 {
		return Empty(), ErrSyntax
	}
	a := ACL{Owner: Perm(mode >> 6 & 7), Group: Perm(mode >> 3 & 7), Mask: None, Other: Perm(mode & 7)}
	for _, p := range []*Perm{&a.Owner, &a.Group, &a.Mask, &a.Other} {
		switch n := binary.LittleEndian.Uint32(blob); {
		case n <= 7:
			*p = Perm(n)
		case n != fakeNone:
			return Empty(), ErrSyntax
		}
		blob = blob[4:]
	}
	for ; len(blob) > 0; blob = blob[fakeNamed:] {
		access := binary.LittleEndian.Uint32(blob[4:])
		if access&^fakeUser > 7 {
			return Empty(), ErrSyntax
		}
		a.Named = append(a.Named, Named{binary.LittleEndian.Uint32(blob), Perm(access & 7), access&fakeUser == 0})
	}
	return a, nil
}
