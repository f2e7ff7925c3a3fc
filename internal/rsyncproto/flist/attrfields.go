package flist

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"rrserve/internal/rsyncproto/acl"
	"rrserve/internal/vfs"
)

// Which entries an access control list has on the wire (section 2.6.1), with
// rsync's names, and what is told of a named one beside its permissions.
const (
	aclOwner = 1 << iota // XMIT_USER_OBJ
	aclGroup             // XMIT_GROUP_OBJ
	aclMask              // XMIT_MASK_OBJ
	aclOther             // XMIT_OTHER_OBJ
	aclNamed             // XMIT_NAME_LIST

	aclNameFollows = 1 // XFLAG_NAME_FOLLOWS
	aclIsUser      = 2 // XFLAG_NAME_IS_USER
)

// maxRemembered bounds the lists of a kind that are looked for when another is
// sent, about 12 MiB. Trees have few different ones, or one for each file: then
// those beyond the bound are sent whole.
const maxRemembered = 1 << 18

// numbering is what the client has of one kind of list: ACLs, default ACLs or
// attributes, numbered from 1 in the order in which they were first sent.
type numbering struct {
	last  int32
	known map[[sha256.Size]byte]int32 // by the hash of the whole list
}

// of returns the number of a list and whether the client has it already.
func (n *numbering) of(list []byte) (number int32, known bool) {
	key := sha256.Sum256(list)
	if number, known = n.known[key]; known {
		return number, true
	}
	n.last++
	if n.known == nil {
		n.known = map[[sha256.Size]byte]int32{}
	}
	if len(n.known) < maxRemembered {
		n.known[key] = n.last
	}
	return n.last, false
}

// attrEncoder writes the fields 20 and 21 of entries. Its memory is that of the
// whole session.
type attrEncoder struct {
	access, inherit, xattrs numbering

	key     []byte // a list being looked for
	layouts map[string]int32
	long    [][]LongXattr // by Entry.long
}

// sentAttrs are the numbers by which the client knows an entry's attributes.
type sentAttrs struct{ access, xattrs, long int32 }

// LongXattr is an attribute whose value is not in the list.
type LongXattr struct {
	Number int32 // position among the attributes of the entry, from 1
	Name   string
}

// sentLink reports whether an entry for the same inode was sent, which has its
// attributes.
func (e *encoder) sentLink(in *vfs.Info) bool {
	if !e.numbersLinks(in) {
		return false
	}
	_, sent := e.links[inode{in.Dev, in.Ino}]
	return sent
}

// attrFields sends ACLs and attributes. For a further link of an inode, again,
// those of the first are in sent, else they are put there.
func (e *encoder) attrFields(in *vfs.Info, it *item, sent *sentAttrs, again bool) {
	if e.o.ACLs && in.Type() != vfs.ModeSymlink {
		if again {
			e.w.Varint(sent.access)
		} else {
			sent.access = e.acl(&e.attrs.access, &it.access)
		}
		if in.IsDir() {
			e.acl(&e.attrs.inherit, &it.inherit)
		}
	}
	if e.o.Xattrs > 0 {
		if again {
			e.w.Varint(sent.xattrs)
		} else {
			sent.xattrs, sent.long = e.xattrList(it.xattrs)
		}
	}
}

// acl sends one access control list and returns its number.
func (e *encoder) acl(n *numbering, a *acl.ACL) int32 {
	number, known := n.of(e.attrs.aclKey(a))
	if known {
		e.w.Varint(number)
		return number
	}
	e.w.Varint(0)
	var mask byte
	single := [...]acl.Perm{a.Owner, a.Group, a.Mask, a.Other}
	for i, p := range single {
		if p != acl.None {
			mask |= 1 << i
		}
	}
	if len(a.Named) > 0 {
		mask |= aclNamed
	}
	e.w.Byte(mask)
	for _, p := range single {
		if p != acl.None {
			e.w.Varint(int32(p))
		}
	}
	if len(a.Named) > 0 {
		e.namedACL(a.Named)
	}
	return number
}

func (e *encoder) namedACL(list []acl.Named) {
	e.w.Varint(int32(len(list)))
	for _, a := range list {
		ids, bits := e.users, int32(aclIsUser)
		if a.Group {
			ids, bits = e.groups, 0
		}
		name := ""
		if ids.first(a.ID) && e.o.Incremental && !e.o.NumericIDs {
			if name = ids.name(a.ID); name != "" {
				bits |= aclNameFollows
			}
		}
		e.w.Varint(int32(a.ID))
		e.w.Varint(int32(a.Perm)<<2 | bits)
		e.idName(name)
	}
}

// aclKey is a list in a form in which equal lists have equal bytes.
func (c *attrEncoder) aclKey(a *acl.ACL) []byte {
	c.key = append(c.key[:0], byte(a.Owner), byte(a.Group), byte(a.Mask), byte(a.Other))
	for _, n := range a.Named {
		kind := byte(0)
		if n.Group {
			kind = 1
		}
		c.key = append(c.key, kind, byte(n.Perm))
		c.key = binary.LittleEndian.AppendUint32(c.key, n.ID)
	}
	return c.key
}

// xattrList sends the attributes of an entry, sorted by name, and returns the
// number of the list and that of its layout.
func (e *encoder) xattrList(list []xattr) (number, long int32) {
	long = e.attrs.layout(list)
	number, known := e.attrs.xattrs.of(e.attrs.xattrKey(list))
	if known {
		e.w.Varint(number)
		return number, long
	}
	e.w.Varint(0)
	e.w.Varint(int32(len(list)))
	for i := range list {
		a := &list[i]
		name := e.o.xattrName(a.name)
		e.w.Varint(int32(len(name) + 1))
		e.w.Varint(int32(a.size))
		e.w.WriteString(name)
		e.w.Byte(0)
		e.w.Write(a.data)
	}
	return number, long
}

// xattrKey is as aclKey: the size tells where data ends.
func (c *attrEncoder) xattrKey(list []xattr) []byte {
	c.key = c.key[:0]
	for i := range list {
		c.key = append(append(c.key, list[i].name...), 0)
		c.key = binary.LittleEndian.AppendUint32(c.key, uint32(list[i].size))
		c.key = append(c.key, list[i].data...)
	}
	return c.key
}

// layout returns the index of what the client may ask for of such a list, 0 for
// nothing. Lists whose values differ share it.
func (c *attrEncoder) layout(list []xattr) int32 {
	c.key = c.key[:0]
	count := 0
	for i := range list {
		if list[i].long() {
			c.key = binary.LittleEndian.AppendUint32(c.key, uint32(i+1))
			c.key = append(append(c.key, list[i].name...), 0)
			count++
		}
	}
	if count == 0 {
		return 0
	}
	if n, ok := c.layouts[string(c.key)]; ok {
		return n
	}
	return c.newLayout(count, list)
}

func (c *attrEncoder) newLayout(count int, list []xattr) int32 {
	if c.layouts == nil {
		c.layouts, c.long = map[string]int32{}, make([][]LongXattr, 1)
	}
	long := make([]LongXattr, 0, count)
	for i := range list {
		if list[i].long() {
			long = append(long, LongXattr{int32(i + 1), strings.Clone(list[i].name)})
		}
	}
	n := int32(len(c.long))
	c.layouts[string(c.key)] = n
	c.long = append(c.long, long)
	return n
}

// LongXattrs returns the attributes of e whose values were not sent, by
// ascending number. A client asks for them later.
func (b *Builder) LongXattrs(e *Entry) []LongXattr {
	if e == nil || e.long == 0 {
		return nil
	}
	return b.enc.attrs.long[e.long]
}
