package flist

import (
	"errors"
	"strings"

	"rrserve/internal/vfs"
)

// source sends one source: with -R its parents, then itself, then what is
// below it (with incremental recursion only what belongs to the first list).
func (b *Builder) source(p place) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	root, err := vfs.ParsePath(p.root)
	if err != nil {
		b.problem(ChangeDir, p.root, err)
		return nil
	}
	info, ok := b.examine(root, p)
	if !ok {
		return nil
	}
	if b.top == nil || b.top.path != root || b.top.dev != info.Dev {
		b.top = &dir{path: root, dev: info.Dev, filter: b.o.Filters.Top(source{b.o.FS}, root.String())}
		b.trail = nil
	}
	top := b.top
	parents, base := splitName(p.name)
	way, err := b.way(top, parents)
	if err != nil {
		return err
	}
	d := way[len(way)-1]
	it := item{info: &info}
	if !b.wanted(d, base, p, &it) {
		return nil
	}
	if p.dot && !b.sentDot {
		b.sentDot = true
		b.implied(top, ".")
	}
	b.parents(way)
	at := d.path
	if base != "." {
		at, _ = at.Join(base) // joined once before
	}
	it.extra = b.extras.source(at) || info.Mode == 0 // given again, or missing
	if e := b.add(d, base, &it); e != nil && it.bits&isTop != 0 {
		return b.sourceContents(e, it.info.Dev)
	}
	return b.err
}

// wanted decides whether and how the entry of a source is sent.
func (b *Builder) wanted(d *dir, base string, p place, it *item) bool {
	if p.contents || b.o.CopyLinks {
		it.bits |= isFollowed // "dir/" stands for what a link leads to
	}
	if base != "." && !b.follow(d, base, it) {
		return false
	}
	isDir := it.info.IsDir()
	if isDir && !b.o.Recurse && !b.o.Dirs {
		b.problem(SkippedDir, p.name, nil)
		return false
	}
	if base != "." && b.excluded(d, base, isDir) {
		return false
	}
	switch {
	case isDir && (b.o.Recurse || p.contents):
		it.bits |= isTop
	case isDir:
		it.bits |= noContent
	}
	return true
}

// sourceContents sends what is in the source e. For -x, dev is its device.
func (b *Builder) sourceContents(e *Entry, dev uint64) error {
	if e.dir.dev != dev {
		d := *e.dir
		d.dev = dev
		e.dir = &d
	}
	switch {
	case !b.o.Incremental:
		return b.recurse(e)
	case e.base != ".":
		return nil // it has a list of its own
	}
	d, err := b.inside(e)
	if err != nil {
		return err
	}
	_, err = b.contents(d)
	return err
}

// way returns top and the directories below it that lead to a source with
// these parents, with the filter rules in force in each. As far as the source before
// lay in the same ones they are the same values, so that names take little memory.
func (b *Builder) way(top *dir, parents string) ([]*dir, error) {
	way := []*dir{top}
	if rest, ok := strings.CutPrefix(parents, "/"); ok {
		parents = rest
		if way[0] = b.onWay(0, top.path, "/"); way[0] == nil {
			d := *top
			d.name = "/"
			way[0] = &d
		}
	}
	for parents != "" {
		var part string
		part, parents, _ = strings.Cut(parents, "/")
		d := way[len(way)-1]
		p, err := d.path.Join(part)
		if err != nil {
			return nil, err
		}
		next := b.onWay(len(way), p, d.prefix()+part)
		if next == nil {
			next = &dir{path: p, name: d.prefix() + part, dev: d.dev}
			if err := b.enter(next, d); err != nil {
				return nil, err
			}
		}
		way = append(way, next)
	}
	b.trail = way
	return way, nil
}

// onWay returns the directory at a place on the way to the source before if it is
// the one that is wanted, else nil.
func (b *Builder) onWay(i int, p vfs.Path, name string) *dir {
	if i < len(b.trail) && b.trail[i].path == p && b.trail[i].name == name {
		return b.trail[i]
	}
	return nil
}

// parents sends the directories on the way to a source (-R), but for those
// that it has in common with the source before.
func (b *Builder) parents(way []*dir) {
	shared := 0
	for shared < min(len(way), len(b.lastWay)) && way[shared].path == b.lastWay[shared].path && way[shared].name == b.lastWay[shared].name {
		shared++
	}
	for i := max(shared, 1); i < len(way); i++ {
		b.implied(way[i-1], way[i].path.Base())
	}
	if len(way) > 1 {
		b.lastWay = way
	}
}

// splitName splits a transfer name into its parents and its last component.
// The parents of an absolute name begin with a slash.
func splitName(name string) (parents, base string) {
	i := strings.LastIndexByte(name, '/')
	if i == 0 {
		return "/", name[1:]
	}
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}

// examine looks at the object that a source names, and reports it when there
// is none. A missing one for --delete-missing-args has mode 0.
func (b *Builder) examine(root vfs.Path, p place) (info vfs.Info, ok bool) {
	rel := strings.TrimPrefix(p.name, "/")
	at, err := vfs.ParsePath(root.String() + "/" + rel)
	if err != nil {
		b.problem(LinkStat, joinName(root, rel), err)
		return info, false
	}
	if p.contents || b.o.CopyLinks {
		at = at.Follow()
	}
	info, err = b.o.FS.Lstat(at)
	switch {
	case err == nil && p.name == "." && !info.IsDir():
		b.problem(ChangeDir, at.String(), notDirectory(at))
		return info, false
	case err == nil:
		return info, true
	}
	rootErr := b.enterable(root)
	if rootErr == nil && errno(err) == vfs.EACCES && !root.IsRoot() && !strings.Contains(rel, "/") {
		rootErr = err // there, but not to be searched
	}
	if rootErr != nil {
		b.problem(ChangeDir, root.String(), rootErr)
		return info, false
	}
	if b.excludedUnseen(root, p.name) {
		return info, false
	}
	if errno(err) == vfs.ENOENT {
		switch {
		case b.o.DeleteMissing:
			return vfs.Info{}, true
		case b.o.IgnoreMissing:
			return info, false
		}
	}
	b.problem(LinkStat, joinName(root, rel), err)
	return info, false
}

func joinName(root vfs.Path, name string) string {
	if root.IsRoot() {
		return "/" + name
	}
	return root.String() + "/" + name
}

// enterable says why the directory p cannot be entered.
func (b *Builder) enterable(p vfs.Path) error {
	info, err := b.o.FS.Lstat(p.Follow())
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return notDirectory(p)
	}
	return nil
}

func notDirectory(p vfs.Path) error {
	return &vfs.Error{Op: "chdir", Path: p, Errno: vfs.ENOTDIR, Err: errors.New("not a directory")}
}

// excludedUnseen reports whether a name that cannot be examined is excluded
// whatever it is.
func (b *Builder) excludedUnseen(root vfs.Path, name string) bool {
	f := b.o.Filters.Top(source{b.o.FS}, root.String())
	name = strings.TrimPrefix(name, "/")
	return name != "." && f.Excluded(name, false) && f.Excluded(name, true)
}

// implied sends a directory that only leads to a source. A link in its place
// is sent as the directory it leads to.
func (b *Builder) implied(d *dir, base string) {
	if !b.o.Version.Varints() && b.o.NoImpliedDirs {
		return
	}
	p := d.path
	if base != "." {
		p, _ = p.Join(base) // joined once before
	}
	info, err := b.o.FS.Lstat(p.Follow())
	if err != nil {
		b.problem(LinkStat, p.String(), err)
		return
	}
	b.add(d, base, &item{info: &info, bits: isImplied | noContent | isFollowed})
}
