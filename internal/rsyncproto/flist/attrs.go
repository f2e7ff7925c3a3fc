package flist

import (
	"crypto/md5"
	"slices"
	"strings"

	"rrserve/internal/rsyncproto/acl"
	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/vfs"
)

// maxFullXattr is the length in bytes up to which the value of an attribute is
// in the list; of a longer one there is the MD5, and the value itself on
// request (MAX_FULL_DATUM).
const maxFullXattr = 32

// xattr is one attribute as it is listed.
type xattr struct {
	name string
	size int    // bytes of the value
	data []byte // the value, or its MD5 if it is longer than maxFullXattr
}

// attributes reads what -A and -X send of e into it. It reports whether the
// entry can be sent.
func (b *Builder) attributes(e *Entry, it *item) bool {
	it.access, it.inherit = acl.Empty(), acl.Empty()
	in := it.info
	acls := b.o.ACLs && in.Type() != vfs.ModeSymlink
	if !b.preserved(in) || !acls && b.o.Xattrs == 0 || b.enc.sentLink(in) {
		return true
	}
	x, err := b.o.FS.Xattrs(e.Path())
	if err != nil {
		b.attrProblem(AccessACL, e, "", err)
		return false
	}
	defer x.Close()
	if acls && !b.readACLs(e, it, x) {
		return false
	}
	return b.o.Xattrs == 0 || b.readXattrs(e, it, x)
}

// preserved reports whether the client makes objects of this type; of others it
// gets no attributes.
func (b *Builder) preserved(in *vfs.Info) bool {
	switch in.Type() {
	case vfs.ModeRegular, vfs.ModeDir:
		return true
	case vfs.ModeSymlink:
		return b.o.Links
	case vfs.ModeFIFO, vfs.ModeSocket:
		return b.o.Specials
	case vfs.ModeChar, vfs.ModeBlock:
		return b.o.Devices
	}
	return false // a missing argument
}

// attrProblem reports an object whose attributes cannot be read, by which of
// them it was found out.
func (b *Builder) attrProblem(kind Kind, e *Entry, attr string, err error) {
	switch {
	case errno(err) == vfs.ENOENT && e.isDir():
		kind = DirVanished
	case errno(err) == vfs.ENOENT:
		kind = Vanished
	}
	b.report(Problem{Kind: kind, Path: e.Path().String(), Attr: attr, Err: err})
}

func (b *Builder) readACLs(e *Entry, it *item, x *vfs.Xattrs) bool {
	if !b.readACL(AccessACL, &it.access, e, x) {
		return false
	}
	it.access.Reduce(it.info.Mode)
	return !e.isDir() || b.readACL(DefaultACL, &it.inherit, e, x)
}

// readACL reads one list into a, which stays empty if the object has none. With
// --fake-super one that cannot be read counts as none, as for stock: who may not
// read it may not read the mode either, and that was reported.
func (b *Builder) readACL(kind Kind, a *acl.ACL, e *Entry, x *vfs.Xattrs) bool {
	value, err := x.Value(b.aclName(kind))
	switch {
	case err != nil && (errno(err) == vfs.ENODATA || b.o.FakeSuper):
		return true
	case err == nil:
		if *a, err = b.parseACL(value, e.mode); err == nil {
			return true
		}
		err = &vfs.Error{Op: "getxattr", Path: e.Path(), Errno: vfs.EINVAL, Err: err}
	}
	b.attrProblem(kind, e, "", err)
	return false
}

// aclName is the attribute that holds a list of this kind.
func (b *Builder) aclName(kind Kind) string {
	switch {
	case kind == AccessACL && b.o.FakeSuper:
		return acl.FakeAccess
	case kind == AccessACL:
		return acl.Access
	case b.o.FakeSuper:
		return acl.FakeDefault
	}
	return acl.Default
}

func (b *Builder) parseACL(value []byte, mode uint32) (acl.ACL, error) {
	if b.o.FakeSuper {
		return acl.ParseFake(value, mode)
	}
	return acl.Parse(value)
}

func (b *Builder) readXattrs(e *Entry, it *item, x *vfs.Xattrs) bool {
	names, err := x.Names()
	if err != nil {
		b.attrProblem(XattrNames, e, "", err)
		return false
	}
	slices.Sort(names)
	for _, name := range names {
		if !b.sendsXattr(name, e.dir.filter) {
			continue
		}
		value, err := x.Value(name)
		if err != nil {
			b.attrProblem(XattrValue, e, name, err)
			return false
		}
		it.xattrs = append(it.xattrs, newXattr(name, value))
	}
	return true
}

func newXattr(name string, value []byte) xattr {
	a := xattr{name, len(value), value}
	if a.long() {
		sum := md5.Sum(value)
		a.data = sum[:]
	}
	return a
}

// long reports whether the client has to ask for the value.
func (a *xattr) long() bool { return a.size > maxFullXattr }

// sendsXattr reports whether an attribute is sent (section 2.6.2). ACLs are
// the business of -A; what rsync itself keeps in attributes that begin with
// "user.rsync.%" takes two -X.
func (b *Builder) sendsXattr(name string, rules *filter.Dir) bool {
	switch {
	case b.o.Xattrs < 2 && strings.HasPrefix(name, fakePrefix+"%"):
		return false
	case rules.HasXattrRules():
		return !rules.ExcludedXattr(name)
	}
	return !strings.HasPrefix(name, "system.")
}

// fakePrefix begins the names of attributes that --fake-super has stored for
// want of the right to set them.
const fakePrefix = "user.rsync."

// xattrName is the name under which an attribute is sent.
func (o *Options) xattrName(name string) string {
	if own, ok := strings.CutPrefix(name, fakePrefix); ok && own != "" && o.FakeSuper {
		return own
	}
	return name
}
