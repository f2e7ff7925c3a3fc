package flist

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// maxName bounds a transfer name in bytes (MAXPATHLEN less its NUL).
const maxName = 4095

// Bits of an I/O error (section 2.1.7).
const (
	IOGeneral  = 1 // IOERR_GENERAL: the client deletes nothing, exit code 23
	IOVanished = 2 // IOERR_VANISHED: exit code 24
)

// Builder sends file lists. It is used by one goroutine.
type Builder struct {
	o   Options
	w   *wire.Writer
	enc *encoder
	ctx context.Context

	list     *List
	next     int32                 // index of the first entry of the next list
	order    func(a, b *Entry) int // in which entries are counted; nil: as sent
	ahead    readAhead
	sums     *sumAhead // nil without -c
	packed   []byte    // memory of the last list
	passing  Entry     // the one being sent, unless it is a directory
	total    int64
	ioError  int32
	reported int32
	err      error // the first of Options.Report and extras

	waiting [][]*Entry // directories to be listed after the current one, innermost last

	// incremental recursion
	dirs    int32      // number of the next directory
	pending [][]*group // directories whose lists are to be sent, innermost last
	ended   bool

	extras  extras
	top     *dir   // below which the source before was
	trail   []*dir // and the directories from there to it
	lastWay []*dir // parents that -R sent last
	sentDot bool
}

// New returns a Builder that writes to w.
func New(ctx context.Context, w *wire.Writer, o Options) *Builder {
	b := &Builder{o: o, w: w, ctx: ctx, order: countingOrder(o.Version), ahead: readAhead{fs: o.FS}, extras: newExtras()}
	if o.Encode != nil {
		b.order = nil
	}
	if o.Sums != nil {
		b.sums = newSumAhead(ctx, o.Sums)
	}
	b.enc = newEncoder(w, &b.o)
	if o.Incremental {
		b.next = 1
	}
	return b
}

// Close waits for what is still being read ahead.
func (b *Builder) Close() {
	b.ahead.close()
	if b.sums != nil {
		b.sums.close()
	}
}

// TotalSize returns the sum of the sizes of all files and links sent.
func (b *Builder) TotalSize() int64 { return b.total }

// IOError returns the I/O error bits met so far.
func (b *Builder) IOError() int32 { return b.ioError }

// AddIOError adds bits that the transfer met.
func (b *Builder) AddIOError(bits int32) { b.ioError |= bits }

// First sends the first list, without incremental recursion the only one. The
// error is that of a rule in a per-directory filter file, of Options.Report, of
// ctx, or of the writer.
func (b *Builder) First(sources iter.Seq[Source]) (*List, error) {
	b.begin()
	if b.sums != nil {
		sources = b.sumsOfSources(sources)
	}
	for s := range sources {
		if err := b.source(s.place(b.o.Relative)); err != nil {
			return nil, err
		}
	}
	if err := b.ctx.Err(); err != nil { // of which the sources may have ended
		return nil, err
	}
	return b.finish(true)
}

func (b *Builder) begin() {
	b.list = &List{Start: b.next, compare: b.order, sent: packed{data: b.packed[:0]}}
}

// finish ends the list on the wire and brings it into counting order.
func (b *Builder) finish(first bool) (*List, error) {
	if b.err != nil {
		return nil, b.err
	}
	v := b.o.Version
	var report int32
	if !b.o.IgnoreErrors && (b.ioError != b.reported) {
		report = b.ioError
	}
	b.enc.end(report)
	if first {
		b.enc.idLists()
	}
	switch {
	case !v.Varints():
		b.w.Int(report)
	case report != 0 && !v.SafeFlist() && !(first && b.o.SafeFlist):
		// A client of protocol 30 that deletes does not look at the end of later
		// lists.
		b.w.MessageInt(wire.IOError, report)
	}
	b.reported |= report

	if b.sums != nil && b.sums.due() {
		b.w.Flush()
	}
	l := b.list
	b.next = l.Start + l.sent.n + 1
	if b.o.Incremental {
		if cap(l.sent.data) <= maxKept*packedSize {
			b.packed = l.sent.data
			l.sent.data = bytes.Clone(b.packed)
		}
		b.queue(l)
	}
	return l, b.w.Err()
}

func (b *Builder) problem(k Kind, path string, err error) {
	b.report(Problem{Kind: k, Path: path, Err: err})
}

func (b *Builder) report(p Problem) {
	switch p.Kind {
	case Vanished, DirVanished:
		b.ioError |= IOVanished
	case SkippedDir, UnsafeLink:
	case LinkStat:
		if errno(p.Err) != vfs.ENOENT {
			b.ioError |= IOGeneral
		}
	default:
		b.ioError |= IOGeneral
	}
	if err := b.o.Report(p); b.err == nil {
		b.err = err
	}
}

// errno is the error number for messages; a link that leaves the tree counts
// as one that leads nowhere.
func errno(err error) int {
	var e *vfs.Error
	if !errors.As(err, &e) {
		return vfs.EIO
	}
	if e.Errno == vfs.EXDEV {
		return vfs.ENOENT
	}
	return e.Errno
}

// add sends one entry of d and keeps it. It returns nil if the entry cannot be
// sent. Only directories outlive the next call.
func (b *Builder) add(d *dir, base string, it *item) *Entry {
	in := it.info
	if len(d.name)+1+len(base) > maxName {
		b.problem(NameTooLong, d.prefix()+base, nil)
		return nil
	}
	prefix, name := d.prefix(), base
	if b.o.Encode != nil {
		var ok bool
		if prefix, name, ok = b.encoded(prefix + base); !ok {
			return nil
		}
	}
	e := &b.passing
	if in.IsDir() {
		e = new(Entry)
	}
	*e = Entry{dir: d, base: base, size: in.Size, mode: in.Mode, wire: b.list.sent.n, bits: it.bits}
	if in.IsDir() && e.bits&noContent == 0 && b.extras.directory(e, in) {
		e.bits |= isExtra
	}
	if in.Type() == vfs.ModeSymlink && b.o.Links && it.target == "" && !b.readTarget(e, it) {
		return nil
	}
	if (b.o.ACLs || b.o.Xattrs > 0) && !b.attributes(e, it) {
		return nil
	}
	if in.IsRegular() && b.sums != nil {
		it.sum = b.sums.Sum(e.Path(), in)
	}
	switch in.Type() {
	case vfs.ModeRegular, vfs.ModeSymlink:
		b.total += in.Size
	}
	e.long = b.enc.entry(prefix, name, it, b.list.Start+e.wire, b.list.Start)
	b.list.sent.add(e)
	if e.bits&isImplied == 0 {
		b.err = cmp.Or(b.err, b.extras.count(d.extra || it.extra || e.bits&isExtra != 0))
	}
	if b.o.Incremental && in.IsDir() {
		b.list.subdirs = append(b.list.subdirs, e)
	}
	return e
}

// encoded returns a transfer name as it is sent, in the two parts that the
// encoder takes.
func (b *Builder) encoded(name string) (prefix, base string, ok bool) {
	base, err := b.o.Encode(name)
	switch {
	case err != nil:
		b.problem(BadName, name, err)
	case len(base) > maxName:
		b.problem(NameTooLong, name, nil)
	default:
		return "", base, true
	}
	return "", "", false
}

// mungePrefix is what --munge-links puts in front of the targets of links where
// it receives them (rsync.h: SYMLINK_PREFIX).
const mungePrefix = "/rsyncd-munged/"

// readTarget reads the target of a symbolic link into it.
func (b *Builder) readTarget(e *Entry, it *item) bool {
	target, err := b.o.FS.Readlink(e.Path())
	switch {
	case err != nil && errno(err) == vfs.ENOENT:
		b.problem(Vanished, e.Path().String(), err)
	case err != nil:
		b.problem(ReadlinkStat, e.Path().String(), err)
	case target == "":
		b.problem(EmptyLink, e.Path().String(), nil)
	case len(target) > maxName:
		b.problem(NameTooLong, e.Path().String(), nil)
	default:
		it.target, it.info.Size = target, int64(len(target))
		return b.rewriteTarget(e, it)
	}
	return false
}

// rewriteTarget gives a target the form in which it is sent. The size stays that
// of the link.
func (b *Builder) rewriteTarget(e *Entry, it *item) bool {
	if rest, ok := strings.CutPrefix(it.target, mungePrefix); ok && rest != "" && b.o.Unmunge {
		it.target = rest
	}
	if b.o.Encode == nil || !b.o.EncodeTargets {
		return true
	}
	target, err := b.o.Encode(it.target)
	switch {
	case err != nil:
		b.problem(BadTarget, e.Path().String(), err)
	case len(target) > maxName:
		b.problem(NameTooLong, e.Path().String(), nil)
	default:
		it.target = target
		return true
	}
	return false
}

// excluded reports whether the rules leave out the entry base of d.
func (b *Builder) excluded(d *dir, base string, isDir bool) bool {
	if b.o.Explain == nil {
		return d.excluded(base, isDir)
	}
	name := d.transferName(base)
	why, decided := d.filter.Decide(name, isDir)
	if decided {
		b.o.Explain(name, isDir, why)
	}
	return why.Excluded
}

// contents lists the directory d into the current list and returns the
// directories among its entries whose contents are wanted, in sending order.
func (b *Builder) contents(d *dir) ([]*Entry, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	if err := cmp.Or(b.err, b.w.Err()); err != nil {
		return nil, err
	}
	infos, err := b.ahead.ReadDir(d.path, b.upcoming)
	if err != nil {
		b.dirProblem(d, err, len(infos) > 0)
	}
	var subs []*Entry
	beginSums := b.sumsOf(d, infos)
	for i := range infos {
		beginSums()
		if e := b.child(d, &infos[i]); e != nil && e.isDir() && e.bits&noContent == 0 {
			subs = append(subs, e)
		}
		// A name may take a second, with all the rules that a client can send.
		if b.err = cmp.Or(b.err, b.ctx.Err()); b.err != nil {
			break
		}
	}
	return subs, cmp.Or(b.err, b.endSums())
}

func (b *Builder) dirProblem(d *dir, err error, partly bool) {
	kind := OpenDir
	switch {
	case errno(err) == vfs.ENOENT && !partly:
		kind = DirVanished
	case partly:
		kind = ReadDir
	}
	b.problem(kind, d.path.String(), err)
}

// child sends one entry that was found by listing d.
func (b *Builder) child(d *dir, in *vfs.Info) *Entry {
	name := in.Name
	if in.Err != nil {
		b.unreadableChild(d, in)
		return nil
	}
	it := item{info: in}
	if !b.follow(d, name, &it) {
		return nil
	}
	isDir := it.info.IsDir()
	if b.excluded(d, name, isDir) {
		return nil
	}
	if isDir {
		mount := b.o.OneFileSystem > 0 && it.info.Dev != d.dev
		if mount && b.o.OneFileSystem > 1 {
			return nil
		}
		if mount || !b.o.Recurse {
			it.bits |= noContent
		}
	}
	return b.add(d, name, &it)
}

func (b *Builder) unreadableChild(d *dir, in *vfs.Info) {
	path := d.path.String() + "/" + in.Name
	if d.path.IsRoot() {
		path = "/" + in.Name
	}
	switch {
	case errno(in.Err) == vfs.ENOENT:
		b.problem(Vanished, path, in.Err)
	case b.excluded(d, in.Name, false) && b.excluded(d, in.Name, true):
	default:
		b.problem(ReadlinkStat, path, in.Err)
	}
}

// follow replaces a symbolic link by what it leads to where an option says so.
// It reports whether the entry is to be sent.
func (b *Builder) follow(d *dir, base string, it *item) bool {
	if it.info.Type() != vfs.ModeSymlink || !b.o.CopyLinks && !b.o.CopyDirLinks && !b.o.CopyUnsafeLinks {
		return true
	}
	p, err := d.path.Join(base)
	if err != nil {
		return true
	}
	must := b.o.CopyLinks
	if !must && b.o.CopyUnsafeLinks {
		target, err := b.o.FS.Readlink(p)
		if must = err == nil && unsafeLink(target, d.prefix()+base); must {
			b.problem(UnsafeLink, d.prefix()+base, errors.New(target))
		}
	}
	if !must && !b.o.CopyDirLinks {
		return true
	}
	in, err := b.o.FS.Lstat(p.Follow())
	switch {
	case err != nil && must:
		b.unfollowed(d, base, p, err)
		return false
	case err != nil || !must && !in.IsDir():
		return true
	}
	in.Name = it.info.Name
	it.info = &in
	it.bits |= isFollowed
	return true
}

// unfollowed reports a link that had to be followed and could not be.
func (b *Builder) unfollowed(d *dir, base string, p vfs.Path, err error) {
	switch {
	case b.excluded(d, base, false):
	case errno(err) == vfs.ENOENT:
		b.problem(NoReferent, p.String(), err)
	default:
		b.problem(ReadlinkStat, p.String(), err)
	}
}

// inside returns the directory e as a place whose entries are listed.
func (b *Builder) inside(e *Entry) (*dir, error) {
	d := &dir{path: e.Path(), name: e.Name(), dev: e.dir.dev, extra: e.bits&isExtra != 0}
	if e.base == "." {
		d.name = strings.TrimSuffix(d.name, ".")
	}
	return d, b.enter(d, e.dir)
}

// enter reads the filter files of d, which lies in parent.
func (b *Builder) enter(d, parent *dir) (err error) {
	d.filter, err = parent.filter.Enter(strings.TrimPrefix(d.name, "/"))
	return err
}

// recurse sends all that is below the directory e.
func (b *Builder) recurse(e *Entry) error {
	d, err := b.inside(e)
	if err != nil {
		return err
	}
	subs, err := b.contents(d)
	if err != nil {
		return err
	}
	if !b.o.Recurse {
		return nil
	}
	for i, sub := range subs {
		b.waiting = append(b.waiting, subs[i+1:])
		if err := b.recurse(sub); err != nil {
			return err
		}
		b.waiting = b.waiting[:len(b.waiting)-1]
	}
	return nil
}

// upcoming yields the directories that are known to be listed after the current
// one, in this order.
func (b *Builder) upcoming(yield func(vfs.Path) bool) {
	for _, level := range slices.Backward(b.waiting) {
		for _, e := range level {
			if !yield(e.Path()) {
				return
			}
		}
	}
	for _, level := range slices.Backward(b.pending) {
		for _, g := range level {
			if e := g.entries[0]; e.bits&noContent == 0 && !yield(e.Path()) {
				return
			}
		}
	}
}
