package filter

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// MaxFile is the largest file of rules that is read, in bytes.
const MaxFile = 1 << 20

// maxDepth bounds how deep files may name files to read (stock's bound).
const maxDepth = 32

// ErrNoFile is a Source's answer for a file that counts as absent.
var ErrNoFile = errors.New("no such filter file")

// Source reads the files of rules in the served tree. It is called by Enter
// only, by as many goroutines as call that.
type Source interface {
	// ReadFile returns the contents of the regular file name, a single
	// component and never "." or "..", in the directory dir, an absolute
	// virtual path without ".." components ("/" is the served root). Symbolic
	// links are followed within the served root.
	//
	// ErrNoFile means that there is no such file, or that it cannot be read
	// or is no regular file; rsync goes on without it. Every other error ends
	// the session, among them that of a file over MaxFile bytes: to go on
	// without its rules could send what they hide.
	ReadFile(dir, name string) ([]byte, error)
}

// Enter returns the rules as they stand inside the directory with this
// transfer name ("." or "" for the root itself), and reads the per-directory
// files there. It is called on the Dir of the parent, or on a Top for the
// first directory of an argument, for every directory before it is listed and
// for every implied directory. When nothing changes it returns d.
//
// The first directory below a Top also gets the rules of its parents' files,
// up to where a rule such as ": /.rsync-filter" says. Stock does so for the
// first argument only, and keeps those rules for the next one or not
// depending on its form; here every argument gets its own.
//
// Errors are *SyntaxError and those of the Source.
func (d *Dir) Enter(name string) (*Dir, error) {
	if len(d.merges) == 0 {
		return d, nil
	}
	next := *d
	next.local = slices.Clone(d.local)
	e := entering{Dir: &next, dir: path.Join(d.root, name)}
	for i := 0; i < len(next.merges); i++ { // files may add to merges
		list, err := e.enter(i)
		if err != nil {
			return nil, err
		}
		next.local[i] = list
	}
	next.ready = len(next.merges)
	if next.ready == d.ready && slices.Equal(next.local, d.local) {
		return d, nil
	}
	return &next, nil
}

// entering is the making of a Dir.
type entering struct {
	*Dir
	dir string // the directory that is entered
}

// enter returns the local list of merges[i] inside the directory.
func (e *entering) enter(i int) (*localList, error) {
	m := e.merges[i]
	list := e.local[i]
	if i >= e.ready && m.from != "" && !m.flags.has(noInherit) {
		var err error
		if list, err = e.scanParents(m); err != nil {
			return nil, err
		}
	}
	if m.flags.has(noInherit) {
		list = nil
	}
	return e.readMerge(m, e.dir, list, false)
}

// scanParents reads the files of m from where its scan starts down to the
// parent of the directory that is entered.
func (e *entering) scanParents(m dirMergeRule) (*localList, error) {
	var list *localList
	at := resolve(e.dir, m.from)
	rest, ok := strings.CutPrefix(e.dir, strings.TrimSuffix(at, "/")+"/")
	if !ok || rest == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(rest, "/") {
		var err error
		if list, err = e.readMerge(m, at, list, true); err != nil {
			return nil, err
		}
		at = path.Join(at, part)
	}
	return list, nil
}

// resolve returns the absolute path of name as written in a rule of the
// directory dir. Going above the root stays there.
func resolve(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}

// readMerge puts the rules of m's file in dir, if it is there, before those
// inherited.
func (e *entering) readMerge(m dirMergeRule, dir string, above *localList, scanning bool) (*localList, error) {
	data, err := e.readFile(dir, m.name)
	if errors.Is(err, ErrNoFile) {
		return above, nil
	}
	if err != nil {
		return nil, err
	}
	f := file{entering: e, dir: dir, scanning: scanning, above: above, before: len(e.merges)}
	if err := f.parse(data, m.flags, path.Join(dir, m.name), 0); err != nil {
		return nil, err
	}
	if len(f.rules) == 0 {
		return f.above, nil
	}
	return &localList{rules: f.rules, above: f.above}, nil
}

// readFile reads a file of rules within the bounds.
func (e *entering) readFile(dir, name string) ([]byte, error) {
	if name == "" || name == "." || name == ".." {
		return nil, ErrNoFile
	}
	data, err := e.src.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	e.left.bytes -= len(data)
	if len(data) > MaxFile || e.left.bytes < 0 {
		return nil, &SyntaxError{fmt.Sprintf("filter file too large: %s", path.Join(dir, name))}
	}
	return data, nil
}

// file is the reading of one per-directory file, with the files it names.
type file struct {
	*entering
	dir      string // where the file is
	scanning bool   // it is in a parent of the first directory
	rules    []rule
	above    *localList
	before   int // dir-merge rules in force before it
}

// parse adds the rules in data. The flags are those of the rule that names the
// file; depth is 0 for the per-directory file itself.
func (f *file) parse(data []byte, in flags, name string, depth int) error {
	text := string(data)
	if in.has(words) {
		for word := range strings.FieldsFuncSeq(text, isSpaceRune) {
			if err := f.add(word, in, origin{file: name}, depth); err != nil {
				return err
			}
		}
		return nil
	}
	for line := 1; text != ""; line++ {
		var rule string
		rule, text = cutLine(text)
		if rule == "" || rule[0] == '#' || rule[0] == ';' {
			continue
		}
		if err := f.add(rule, in, origin{name, line}, depth); err != nil {
			return err
		}
	}
	return nil
}

// isSpaceRune is isspace of the C locale: no character beyond ASCII is blank.
func isSpaceRune(r rune) bool { return r < 0x80 && isSpace(byte(r)) }

// cutLine cuts text after its first line, which ends with LF, CR or CRLF.
func cutLine(text string) (line, rest string) {
	i := strings.IndexAny(text, "\r\n")
	if i < 0 {
		return text, ""
	}
	line, rest = text[:i], text[i+1:]
	if text[i] == '\r' {
		rest = strings.TrimPrefix(rest, "\n")
	}
	return line, rest
}

// add adds one rule.
func (f *file) add(text string, in flags, from origin, depth int) error {
	if f.left.rules--; f.left.rules < 0 {
		return from.errorf(text, "too many filter rules")
	}
	if text = cutNUL(text); text == "" || len(text) > maxRule {
		return nil
	}
	fl, pattern, err := parse(text, in, from)
	switch {
	case err != nil:
		return err
	case fl.has(clearList):
		f.clear()
		return nil
	case len(pattern) >= maxPattern:
		return nil
	case fl.has(anyMerge):
		if fl.has(excludeSelf) {
			f.rules = append(f.rules, selfRule(fl, pattern))
		}
		if fl.has(dirMerge) {
			return f.addDirMerge(fl, pattern, from)
		}
		return f.readNow(fl, pattern, from, depth+1)
	case depth == 0 && fl.receiverOnly():
	case fl.has(cvs):
		rules := cvsRules(fl)
		f.left.rules -= len(rules)
		f.rules = append(f.rules, rules...)
		f.xattrs = f.xattrs || fl.has(xattrOnly)
	default:
		f.rules = append(f.rules, f.newRule(fl, pattern, depth))
		f.xattrs = f.xattrs || fl.has(xattrOnly)
	}
	return nil
}

// clear drops the rules read so far, those inherited and the dir-merge rules
// that were among the former.
func (f *file) clear() {
	f.rules, f.above = nil, nil
	f.merges = f.merges[:f.before]
	f.local = f.local[:f.before]
}

// newRule anchors an anchored pattern of the per-directory file itself at its
// directory. The directory's name is compared byte by byte, also where it
// looks like a wildcard (stock takes it for one).
func (f *file) newRule(fl flags, pattern string, depth int) rule {
	if depth > 0 || pattern[0] != '/' || fl.has(absolute) {
		return newRule(fl, pattern)
	}
	r := newRule(fl|absolute, pattern)
	r.anchored = true
	if r.dir = f.dir[1:]; r.dir != "" {
		r.dir += "/"
	}
	return r
}

func (f *file) addDirMerge(fl flags, pattern string, from origin) error {
	m := newDirMerge(fl, pattern)
	m.made = from
	if f.scanning {
		m.from = resolve(f.dir, m.from)
	}
	switch {
	case known(f.merges, m.name):
	case len(f.merges) == maxMerges:
		return from.errorf(pattern, "too many dir-merge rules")
	default:
		f.merges = append(slices.Clip(f.merges), m)
		f.local = append(f.local, nil)
		f.rules = append(f.rules, rule{merge: len(f.merges)})
	}
	return nil
}

// readNow inserts the rules of a file. A name without slash is taken from the
// argument's root, as stock does.
func (f *file) readNow(fl flags, name string, from origin, depth int) error {
	if depth > maxDepth {
		return from.errorf(name, "merge-file include depth limit (%d) exceeded", maxDepth)
	}
	dir := f.root
	i := strings.LastIndexByte(name, '/') + 1
	if i > 0 || f.scanning {
		dir = resolve(f.dir, name[:i])
	}
	data, err := f.readFile(dir, name[i:])
	if errors.Is(err, ErrNoFile) {
		return &SyntaxError{"failed to open exclude file " + from.name(name)}
	}
	if err != nil {
		return err
	}
	return f.parse(data, fl, path.Join(dir, name[i:]), depth)
}
