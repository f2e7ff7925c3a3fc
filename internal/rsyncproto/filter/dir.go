package filter

import (
	"path"
	"strings"
)

// Dir is the rules as they stand inside one directory. It does not change.
type Dir struct {
	list   *List
	src    Source
	root   string // absolute virtual path
	prefix string // what makes a transfer name an absolute one: "" or "a/b/"

	// The dir-merge rules in force, in the order of their making: first those
	// of the list, then those found in files. A rule's index never changes on
	// the way down.
	merges []dirMergeRule
	local  []*localList // for each of merges; nil: empty
	ready  int          // merges whose parents have been scanned
	xattrs bool
	left   budget
}

// localList is what a dir-merge rule stands for in a directory: the rules of
// the file there, then those of the files above.
type localList struct {
	rules []rule
	above *localList
}

// budget is how much more may be read on the way down from an argument.
type budget struct{ rules, bytes int }

// Top returns the rules for one argument, outside of any directory: with it
// the argument's own name is checked, for which no per-directory file counts.
//
// The root is the absolute virtual path of the directory to which transfer
// names are relative ("/" is the served root): for a transfer name n, the
// object is root/n. Per-directory state starts afresh with each Top.
func (l *List) Top(src Source, root string) *Dir {
	root = path.Clean("/" + root)
	prefix := root[1:]
	if prefix != "" {
		prefix += "/"
	}
	return &Dir{
		list: l, src: src, root: root, prefix: prefix,
		merges: l.merges,
		local:  make([]*localList, len(l.merges)),
		xattrs: l.xattrs,
		left:   budget{rules: maxRules, bytes: maxBytes},
	}
}

// Excluded reports whether the rules leave out the object with this transfer
// name (without leading slash, never ".").
//
// What is found by listing a directory is asked of that directory's Dir. An
// argument is asked of its Top, and if it is left out its implied directories
// are not sent either; with implied directories it is then asked again of the
// last of these. Nothing below an excluded directory is to be looked at.
func (d *Dir) Excluded(name string, isDir bool) bool {
	s := newSubject(name)
	s.isDir = isDir
	return d.excludes(&s)
}

// ExcludedIn is Excluded for the object with the transfer name prefix + base,
// where prefix is "" or ends in a slash. The name is only put together for a
// rule that needs more than the last component.
func (d *Dir) ExcludedIn(prefix, base string, isDir bool) bool {
	s := subject{prefix: prefix, base: base, isDir: isDir}
	return len(d.list.rules) > 0 && d.excludes(&s)
}

func (d *Dir) excludes(s *subject) bool {
	r, _ := d.decide(d.list.rules, s)
	return r != nil && !r.flags.has(include)
}

// Decision says which rule decided about an object.
type Decision struct {
	Excluded bool
	// Pattern is that of the rule, as written. Patterns of files are not
	// repeated: the client may not be allowed to see them.
	Pattern string
	// List is "" for the client's own rules, "global CVS" for those of -C and
	// "per-dir" with a file name for others.
	List string
}

// Decide is Excluded together with the reason; it reports whether there is one.
func (d *Dir) Decide(name string, isDir bool) (Decision, bool) {
	s := newSubject(name)
	s.isDir = isDir
	r, in := d.decide(d.list.rules, &s)
	switch {
	case r == nil:
		return Decision{}, false
	case in != nil:
		return Decision{!r.flags.has(include), "<rule from a file read earlier>", "per-dir " + in.shown()}, true
	case r.flags.has(cvs):
		return Decision{!r.flags.has(include), r.written, "global CVS"}, true
	}
	return Decision{!r.flags.has(include), r.written, ""}, true
}

// HasXattrRules reports whether rules for names of extended attributes (the
// modifier "x") were met on the way here. Then they alone decide which are
// sent.
func (d *Dir) HasXattrRules() bool { return d.xattrs }

// ExcludedXattr reports whether the rules leave out the extended attribute
// with this name, such as "user.x".
func (d *Dir) ExcludedXattr(name string) bool {
	s := newSubject(name)
	s.xattr = true
	return d.excludes(&s)
}

// subject is a name being checked: prefix and base behind one another.
type subject struct {
	prefix, base string
	whole        string // the name; made when first needed
	full         string // the absolute name without leading slash; made when first needed
	isDir        bool
	xattr        bool
}

func newSubject(name string) subject {
	i := strings.LastIndexByte(name, '/') + 1
	return subject{prefix: name[:i], base: name[i:], whole: name}
}

func (s *subject) name() string {
	if s.whole == "" {
		s.whole = s.prefix + s.base
	}
	return s.whole
}

// decide evaluates rules in order and returns the first that applies, nil if
// none does, and the dir-merge rule among whose rules it is, nil if it is the
// client's own. A dir-merge rule only refers to one made later, so the
// recursion ends.
func (d *Dir) decide(rules []rule, s *subject) (*rule, *dirMergeRule) {
	for i := range rules {
		r := &rules[i]
		if r.merge != 0 {
			for l := d.local[r.merge-1]; l != nil; l = l.above {
				if found, in := d.decide(l.rules, s); found != nil {
					if in == nil {
						in = &d.merges[r.merge-1]
					}
					return found, in
				}
			}
			continue
		}
		if r.flags.has(xattrOnly) != s.xattr || d.matches(r, s) == r.flags.has(negate) {
			continue
		}
		return r, nil
	}
	return nil, nil
}

func (d *Dir) matches(r *rule, s *subject) bool {
	switch {
	case r.dirOnly && !s.isDir:
		return false
	case r.how == baseEqual: // the most common one
		return r.text == s.base
	case r.onBase():
		return r.match(s.base, s.isDir)
	case r.anchored:
		below, ok := d.below(r.dir, s)
		return ok && r.match(below, s.isDir)
	case r.flags.has(absolute):
		return r.match(d.absolute(s), s.isDir)
	default:
		return r.match(s.name(), s.isDir)
	}
}

func (d *Dir) absolute(s *subject) string {
	if s.full == "" {
		s.full = d.prefix + s.name()
	}
	return s.full
}

// below returns the part of the absolute name of s below dir, and whether it
// is there.
func (d *Dir) below(dir string, s *subject) (string, bool) {
	if inside, ok := strings.CutPrefix(dir, d.prefix); ok {
		return strings.CutPrefix(s.name(), inside)
	}
	return strings.CutPrefix(d.absolute(s), dir)
}
