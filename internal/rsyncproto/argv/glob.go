package argv

import (
	"slices"
	"strings"

	"rrserve/internal/vfs"
)

// Lister is the part of a vfs.FS that wildcards need.
type Lister interface {
	// Lstat describes an object; see vfs.FS.
	Lstat(p vfs.Path) (vfs.Info, error)
	// ReadDir lists a directory without "." and ".."; see vfs.FS.
	ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error)
}

// part is one component of a word with wildcards, and the slashes behind it.
type part struct {
	text    string
	wild    bool
	match   pattern
	slashes string // as the client wrote them; "" only for the last part
}

// globber matches one word against the tree.
type globber struct {
	tree   Lister
	budget *budget
	// secluded switches from the rules of a shell to those of rsync's own
	// expansion: names with a leading dot match, dangling links do not.
	secluded bool
	out      []string
}

// glob returns the names that match, sorted bytewise and each beginning with
// the client's own words: a client accepts no name that it did not ask for.
func (g *globber) glob(parts []part) ([]string, error) {
	if err := g.walk("", parts); err != nil {
		return nil, err
	}
	slices.Sort(g.out)
	return g.out, nil
}

// walk matches parts below prefix, which is "" or ends with a slash.
func (g *globber) walk(prefix string, parts []part) error {
	for i, p := range parts {
		if p.wild {
			return g.readDir(prefix, p, parts[i+1:])
		}
		prefix += p.text + p.slashes
	}
	if !g.exists(prefix) {
		return nil
	}
	return g.emit(prefix)
}

func (g *globber) emit(name string) error {
	if len(name) > MaxArg {
		return nil // not a name that could be opened
	}
	g.out = append(g.out, name)
	return g.budget.result(name)
}

// readDir matches the entries of the directory that prefix names against p. A
// directory that cannot be read matches nothing.
func (g *globber) readDir(prefix string, p part, rest []part) error {
	dir, err := vfs.ParsePath(prefix)
	if err != nil {
		return nil
	}
	entries, _ := g.tree.ReadDir(dir.Follow(), nil)
	if err := g.budget.compare(len(entries) + 1); err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if !g.matches(p, e.Name) || !g.suits(prefix, e, p.slashes != "") {
			continue
		}
		name := prefix + e.Name + p.slashes
		if len(rest) == 0 {
			err = g.emit(name)
		} else {
			err = g.walk(name, rest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *globber) matches(p part, name string) bool {
	if !g.secluded && strings.HasPrefix(name, ".") && p.text[0] != '.' {
		return false
	}
	return p.match.match(name)
}

// suits reports whether an entry can stand where its part does: in front of a
// slash only what is a directory, or a link to one.
func (g *globber) suits(prefix string, e *vfs.Info, dir bool) bool {
	switch {
	case !dir && !g.secluded:
		return true
	case e.Err == nil && e.IsDir():
		return true
	case e.Err == nil && e.Type() != vfs.ModeSymlink:
		return !dir
	}
	target, ok := g.follow(prefix + e.Name)
	return ok && (!dir || target.IsDir())
}

func (g *globber) follow(name string) (vfs.Info, bool) {
	p, err := vfs.ParsePath(name)
	if err != nil {
		return vfs.Info{}, false
	}
	info, err := g.tree.Lstat(p.Follow())
	return info, err == nil
}

// exists reports whether the name can be looked up as it is written: a slash
// or a dot at its end asks for a directory.
func (g *globber) exists(name string) bool {
	if strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || g.secluded {
		info, ok := g.follow(name)
		return ok && (info.IsDir() || !strings.HasSuffix(strings.TrimSuffix(name, "."), "/"))
	}
	p, err := vfs.ParsePath(name)
	if err != nil {
		return false
	}
	_, err = g.tree.Lstat(p)
	return err == nil
}

// shellParts cuts a word into parts; wild is false when it has no wildcard.
func shellParts(w Word) (parts []part, wild bool) {
	for lo := 0; lo < len(w.text); {
		hi, next := component(w.text, lo)
		p := part{text: w.text[lo:hi], slashes: w.text[hi:next]}
		if strings.ContainsAny(p.text, "*?[") { // most words are none, and braces may make thousands
			p.match, p.wild = shellPattern(w.slice(lo, hi))
			wild = wild || p.wild
		}
		parts = append(parts, p)
		lo = next
	}
	return parts, wild
}

// wildParts does the same for a secluded argument.
func wildParts(arg string) (parts []part, wild bool) {
	for lo := 0; lo < len(arg); {
		hi, next := component(arg, lo)
		p := part{text: arg[lo:hi], slashes: arg[hi:next]}
		if strings.ContainsAny(p.text, "*?[") {
			p.wild, wild = true, true
			var ok bool
			if p.match, ok = wildPattern(p.text); !ok {
				return parts, false
			}
		}
		parts = append(parts, p)
		lo = next
	}
	return parts, wild
}

// component returns the end of the component at lo and the start of the next.
func component(s string, lo int) (hi, next int) {
	hi = lo
	for hi < len(s) && s[hi] != '/' {
		hi++
	}
	next = hi
	for next < len(s) && s[next] == '/' {
		next++
	}
	return hi, next
}
