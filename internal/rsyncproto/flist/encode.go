package flist

import (
	"rrserve/internal/rsyncproto/acl"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// Flags of an entry (section 2.2.1), with rsync's names.
const (
	flagTopDir       = 0x0001  // XMIT_TOP_DIR
	flagSameMode     = 0x0002  // XMIT_SAME_MODE
	flagSameRdev27   = 0x0004  // XMIT_SAME_RDEV_pre28
	flagExtended     = 0x0004  // XMIT_EXTENDED_FLAGS
	flagSameUID      = 0x0008  // XMIT_SAME_UID
	flagSameGID      = 0x0010  // XMIT_SAME_GID
	flagSameName     = 0x0020  // XMIT_SAME_NAME
	flagLongName     = 0x0040  // XMIT_LONG_NAME
	flagSameTime     = 0x0080  // XMIT_SAME_TIME
	flagSameMajor    = 0x0100  // XMIT_SAME_RDEV_MAJOR, devices and specials
	flagNoContent    = 0x0100  // XMIT_NO_CONTENT_DIR, directories
	flagHlinked      = 0x0200  // XMIT_HLINKED
	flagSameDev29    = 0x0400  // XMIT_SAME_DEV_pre30
	flagUserName     = 0x0400  // XMIT_USER_NAME_FOLLOWS
	flagMinor8       = 0x0800  // XMIT_RDEV_MINOR_8_pre30
	flagGroupName    = 0x0800  // XMIT_GROUP_NAME_FOLLOWS
	flagHlinkFirst   = 0x1000  // XMIT_HLINK_FIRST
	flagEndWithError = 0x1000  // XMIT_IO_ERROR_ENDLIST
	flagModNsec      = 0x2000  // XMIT_MOD_NSEC
	flagSameAtime    = 0x4000  // XMIT_SAME_ATIME
	flagBtimeIsMtime = 0x20000 // XMIT_CRTIME_EQ_MTIME
)

// item is an entry while it is being sent.
type item struct {
	info   *vfs.Info
	target string // of a symbolic link
	sum    []byte // of a regular file with -c
	bits   uint8  // isTop, noContent, isImplied
	extra  bool   // one of the extras, whatever it is in

	access, inherit acl.ACL // with -A; the second one of directories
	xattrs          []xattr // with -X, sorted by name
}

type inode struct{ dev, ino uint64 }

// hardLink is what the client copies from the first link of an inode.
type hardLink struct {
	number int32 // index the first link was sent under, in sending order
	info   vfs.Info
	attrs  sentAttrs
}

// encoder writes entries. Its memory is that of the whole session.
type encoder struct {
	w *wire.Writer
	o *Options

	any    bool // an entry was sent
	name   []byte
	next   []byte // the name being sent; swapped with name
	mode   uint32
	mtime  int64
	atime  int64
	uid    uint32
	gid    uint32
	major  uint32
	rdev27 uint32 // protocol 27
	dev29  uint64 // protocols 28 and 29, device of the last hard link

	users, groups *idNames
	links         map[inode]*hardLink
	attrs         attrEncoder
}

func newEncoder(w *wire.Writer, o *Options) *encoder {
	return &encoder{
		w: w, o: o,
		users: newIDNames(o.UserName), groups: newIDNames(o.GroupName),
		links: map[inode]*hardLink{},
	}
}

// numbersLinks reports whether the client is told which entries are of the
// same inode as in.
func (e *encoder) numbersLinks(in *vfs.Info) bool {
	return e.o.HardLinks && e.o.Version.Varints() && in.Nlink > 1 && !in.IsDir()
}

// entry sends one entry. number is the index it has in sending order, start
// that of its list's first entry. The result is Entry.long.
func (e *encoder) entry(prefix, base string, it *item, number, start int32) (long int32) {
	in := it.info
	v := e.o.Version
	e.next = append(append(e.next[:0], prefix...), base...)
	shared := sharedPrefix(e.name, e.next)
	suffix := e.next[shared:]

	flags := e.dirFlags(it)
	attrs := new(sentAttrs)
	var link *hardLink
	again := false
	if e.numbersLinks(in) {
		if link, again = e.link(in, number); again {
			in = &link.info // what the client will copy
		} else {
			flags |= flagHlinkFirst
		}
		flags |= flagHlinked
		attrs = &link.attrs
	}

	if shared > 0 {
		flags |= flagSameName
	}
	if len(suffix) > 255 {
		flags |= flagLongName
	}
	if in.Mode == e.mode {
		flags |= flagSameMode
	}
	if in.Mtime.Sec == e.mtime {
		flags |= flagSameTime
	}
	if v.Nsec() && in.Mtime.Nsec != 0 {
		flags |= flagModNsec
	}
	if e.o.CRTimes && in.Btime == in.Mtime.Sec {
		flags |= flagBtimeIsMtime
	}
	atime := e.o.ATimes && !in.IsDir()
	if atime && v.ExtendedFlags() && in.Atime.Sec == e.atime {
		flags |= flagSameAtime
	}
	inline := e.o.Incremental && !e.o.NumericIDs
	var user, group string
	if !e.o.Owner || e.any && in.UID == e.uid {
		flags |= flagSameUID
	} else if e.users.first(in.UID) && inline {
		if user = e.users.name(in.UID); user != "" {
			flags |= flagUserName
		}
	}
	if !e.o.Group || e.any && in.GID == e.gid {
		flags |= flagSameGID
	} else if e.groups.first(in.GID) && inline {
		if group = e.groups.name(in.GID); group != "" {
			flags |= flagGroupName
		}
	}
	hasRdev, device := e.rdevFlags(in, &flags)
	oldLink := e.o.HardLinks && !v.Varints() && e.oldLinkFlags(in, &flags)

	e.writeFlags(flags, in.IsDir())
	if shared > 0 {
		e.w.Byte(byte(shared))
	}
	if e.longName(flags, in.IsDir()) {
		e.w.Vint(v, int32(len(suffix)))
	} else {
		e.w.Byte(byte(len(suffix)))
	}
	e.w.Write(suffix)

	abbreviated := false
	if again {
		e.w.Varint(link.number)
		abbreviated = link.number >= start
	}
	if !abbreviated {
		e.fields(in, it, flags, atime, user, group, hasRdev, device, oldLink)
	}
	e.attrFields(in, it, attrs, again)
	e.remember(in, device)
	return attrs.long
}

// link returns what is known of the inode of in, which is listed as number, and
// whether it was listed before.
func (e *encoder) link(in *vfs.Info, number int32) (l *hardLink, again bool) {
	id := inode{in.Dev, in.Ino}
	if l, again = e.links[id]; !again {
		l = &hardLink{number: number, info: *in}
		e.links[id] = l
	}
	return l, again
}

// fields sends what stands behind the name (section 2.2, from field 6 on).
func (e *encoder) fields(in *vfs.Info, it *item, flags uint32, atime bool, user, group string, hasRdev, device, oldLink bool) {
	v := e.o.Version
	e.w.Vlong(v, e.size(in), 3)
	if flags&flagSameTime == 0 {
		if v.Varints() {
			e.w.Varlong(in.Mtime.Sec, 4)
		} else {
			e.w.Int(int32(in.Mtime.Sec))
		}
	}
	if flags&flagModNsec != 0 {
		e.w.Varint(int32(in.Mtime.Nsec))
	}
	if e.o.CRTimes && flags&flagBtimeIsMtime == 0 {
		e.w.Varlong(in.Btime, 4)
	}
	if flags&flagSameMode == 0 {
		e.w.Int(int32(in.Mode))
	}
	if atime && flags&flagSameAtime == 0 {
		e.w.Varlong(in.Atime.Sec, 4)
	}
	if flags&flagSameUID == 0 {
		e.w.Vint(v, int32(in.UID))
		e.idName(user)
	}
	if flags&flagSameGID == 0 {
		e.w.Vint(v, int32(in.GID))
		e.idName(group)
	}
	if hasRdev {
		e.rdev(in, flags, device)
	}
	if e.o.Links && in.Type() == vfs.ModeSymlink {
		e.w.Vint(v, int32(len(it.target)))
		e.w.WriteString(it.target)
	}
	if oldLink {
		if flags&flagSameDev29 == 0 || !v.ExtendedFlags() {
			e.w.Longint(int64(in.Dev) + 1)
		}
		e.w.Longint(int64(in.Ino))
	}
	if e.o.SumLen > 0 {
		e.sum(in, it)
	}
}

func (e *encoder) sum(in *vfs.Info, it *item) {
	switch {
	case in.IsRegular() && len(it.sum) == e.o.SumLen:
		e.w.Write(it.sum)
	case in.IsRegular() || !e.o.Version.ExtendedFlags():
		e.w.Write(make([]byte, e.o.SumLen)) // unreadable; protocol 27: every other type
	}
}

// size is the size field: devices and specials have none.
func (e *encoder) size(in *vfs.Info) int64 {
	switch in.Type() {
	case vfs.ModeRegular, vfs.ModeDir, vfs.ModeSymlink:
		return in.Size
	}
	return 0
}

func (e *encoder) idName(name string) {
	if name != "" {
		e.w.Byte(byte(len(name)))
		e.w.WriteString(name)
	}
}

// dirFlags tells the client about the scope of a directory (section 2.2.2).
func (e *encoder) dirFlags(it *item) uint32 {
	if !it.info.IsDir() {
		return 0
	}
	if !e.o.Version.Varints() {
		if it.bits&isTop != 0 {
			return flagTopDir
		}
		return 0
	}
	switch {
	case it.bits&isImplied != 0:
		return flagTopDir | flagNoContent
	case it.bits&noContent != 0:
		return flagNoContent
	case it.bits&isTop != 0:
		return flagTopDir
	}
	return 0
}

// rdevFlags sets the flags of the device number and reports whether the entry
// has one and whether it is a device (not a FIFO or socket).
func (e *encoder) rdevFlags(in *vfs.Info, flags *uint32) (has, device bool) {
	v := e.o.Version
	switch in.Type() {
	case vfs.ModeBlock, vfs.ModeChar:
		if !e.o.Devices {
			return false, false
		}
		switch {
		case !v.ExtendedFlags():
			if rdev27(in) == e.rdev27 {
				*flags |= flagSameRdev27
			}
		case in.RdevMajor == e.major:
			*flags |= flagSameMajor
		}
		if v.ExtendedFlags() && !v.Varints() && in.RdevMinor <= 255 {
			*flags |= flagMinor8
		}
		return true, true
	case vfs.ModeFIFO, vfs.ModeSocket:
		if !e.o.Specials || !v.SpecialRdev() {
			return false, false
		}
		switch {
		case !v.ExtendedFlags():
			*flags |= flagSameRdev27
		case !v.Varints():
			*flags |= flagSameMajor | flagMinor8
		default:
			*flags |= flagSameMajor
		}
		return true, false
	}
	return false, false
}

// rdev27 is the device number as protocol 27 sends it: Linux's 32-bit dev_t.
func rdev27(in *vfs.Info) uint32 {
	return in.RdevMinor&0xff | in.RdevMajor<<8 | in.RdevMinor&^0xff<<12
}

func (e *encoder) rdev(in *vfs.Info, flags uint32, device bool) {
	v := e.o.Version
	if !v.ExtendedFlags() {
		if flags&flagSameRdev27 == 0 {
			e.w.Int(int32(rdev27(in)))
		}
		return
	}
	var minor uint32
	if device {
		minor = in.RdevMinor
		if flags&flagSameMajor == 0 {
			e.w.Vint(v, int32(in.RdevMajor))
		}
	}
	switch {
	case v.Varints():
		e.w.Varint(int32(minor))
	case flags&flagMinor8 != 0:
		e.w.Byte(byte(minor))
	default:
		e.w.Int(int32(minor))
	}
}

// oldLinkFlags sets the hard-link flags of protocols 28 and 29 and reports
// whether device and inode are sent (protocol 27: with every regular file).
func (e *encoder) oldLinkFlags(in *vfs.Info, flags *uint32) bool {
	if !e.o.Version.ExtendedFlags() {
		return in.IsRegular()
	}
	if in.IsDir() || in.Nlink <= 1 {
		return false
	}
	*flags |= flagHlinked
	if in.Dev == e.dev29 {
		*flags |= flagSameDev29
	}
	e.dev29 = in.Dev
	return true
}

// writeFlags sends the flags; zero is kept for the end of the list (the zero
// trap of section 2.2.1).
func (e *encoder) writeFlags(flags uint32, isDir bool) {
	v := e.o.Version
	switch {
	case e.o.VarintFlags:
		if flags == 0 {
			flags = flagExtended
		}
		e.w.Varint(int32(flags))
	case v.ExtendedFlags():
		if flags == 0 && !isDir {
			flags |= flagTopDir
		}
		if flags >= 0x100 || flags == 0 {
			e.w.Short(uint16(flags | flagExtended))
		} else {
			e.w.Byte(byte(flags))
		}
	default:
		b := byte(flags)
		if b == 0 && !isDir {
			b = flagTopDir
		} else if b == 0 {
			b = flagLongName
		}
		e.w.Byte(b)
	}
}

// longName reports whether the suffix length is a number instead of a byte.
func (e *encoder) longName(flags uint32, isDir bool) bool {
	return flags&flagLongName != 0 || !e.o.Version.ExtendedFlags() && byte(flags) == 0 && isDir
}

func (e *encoder) remember(in *vfs.Info, device bool) {
	e.any = true
	e.name, e.next = e.next, e.name
	e.mode, e.mtime = in.Mode, in.Mtime.Sec
	if e.o.ATimes && !in.IsDir() {
		e.atime = in.Atime.Sec
	}
	if e.o.Owner {
		e.uid = in.UID
	}
	if e.o.Group {
		e.gid = in.GID
	}
	e.rdev27 = 0
	if device {
		e.major, e.rdev27 = in.RdevMajor, rdev27(in)
	}
}

// end sends the end of a list with the I/O error bits to report.
func (e *encoder) end(ioError int32) {
	switch {
	case e.o.VarintFlags:
		e.w.Varint(0)
		e.w.Varint(ioError)
	case e.o.SafeFlist && ioError != 0:
		e.w.Short(flagExtended | flagEndWithError)
		e.w.Varint(ioError)
	default:
		e.w.Byte(0)
	}
}

// idLists sends the names of the ids that were listed.
func (e *encoder) idLists() {
	if e.o.Incremental || e.o.NumericIDs {
		return
	}
	if e.o.Owner || e.o.ACLs {
		e.users.write(e.w, e.o.Version, e.o.ID0Names)
	}
	if e.o.Group || e.o.ACLs {
		e.groups.write(e.w, e.o.Version, e.o.ID0Names)
	}
}

// sharedPrefix is the length of the common prefix, at most 255 bytes.
func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b), 255)
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
