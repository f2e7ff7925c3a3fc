package flist

import (
	"iter"
	"strings"

	"rrserve/internal/vfs"
)

// sumsOf returns what begins with the checksums of the next entries of d when it
// is time. It is called before each entry.
func (b *Builder) sumsOf(d *dir, infos []vfs.Info) (begin func()) {
	if b.sums == nil || !b.sums.worth(infos) {
		return func() {}
	}
	wanted := func(i int) (p vfs.Path, ok bool) {
		name := infos[i].Name
		if d.excluded(name, false) {
			return p, false
		}
		p, err := d.path.Join(name)
		return p, err == nil
	}
	return func() {
		if len(infos) > 0 && b.sums.hungry() {
			infos = infos[b.sums.begin(infos, wanted):]
		}
	}
}

// endSums ends a directory. Without the context checksums are not worth sending.
func (b *Builder) endSums() error {
	if b.sums == nil {
		return nil
	}
	b.sums.forget()
	return b.ctx.Err()
}

// maxSourcesAhead is how many sources are looked at before the first of them is
// sent.
const maxSourcesAhead = 256

// sumsOfSources yields the sources, and begins with the checksums of those in a row
// that are files, as with "*" and --files-from.
func (b *Builder) sumsOfSources(sources iter.Seq[Source]) iter.Seq[Source] {
	return func(yield func(Source) bool) {
		next, stop := iter.Pull(sources)
		defer stop()
		for {
			row := b.filesInRow(next)
			if len(row) == 0 {
				return
			}
			for _, s := range row {
				if !yield(s) {
					return
				}
			}
			b.sums.forget()
		}
	}
}

// filesInRow takes sources up to the first that is no file, and begins with the
// checksums of the others.
func (b *Builder) filesInRow(next func() (Source, bool)) (row []Source) {
	var infos []vfs.Info
	var paths []vfs.Path
	for len(row) < maxSourcesAhead {
		s, ok := next()
		if !ok {
			break
		}
		row = append(row, s)
		p, in, ok := b.sourceFile(s.place(b.o.Relative))
		if !ok {
			break
		}
		infos, paths = append(infos, in), append(paths, p)
	}
	if b.sums.worth(infos) {
		b.sums.begin(infos, func(i int) (p vfs.Path, ok bool) { return paths[i], true })
	}
	return row
}

// sourceFile returns the file that a source names, if it is one that is sent.
func (b *Builder) sourceFile(p place) (at vfs.Path, in vfs.Info, ok bool) {
	root, err := vfs.ParsePath(p.root)
	if err != nil {
		return at, in, false
	}
	at, err = vfs.ParsePath(root.String() + "/" + strings.TrimPrefix(p.name, "/"))
	if err != nil {
		return at, in, false
	}
	if p.contents || b.o.CopyLinks {
		at = at.Follow()
	}
	in, err = b.o.FS.Lstat(at)
	return at, in, err == nil && in.IsRegular() && !b.excludedUnseen(root, p.name)
}
