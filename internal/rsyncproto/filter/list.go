// Package filter holds the filter rules that a client sends and says which
// names of the tree they leave out.
//
// [Read] takes the rules from the wire. A walk asks [List.Top] for the [Dir] of
// each argument and [Dir.Enter] for that of each directory below; a Dir never
// changes, so that directories can be visited in any order in which parents
// come before children, and by several goroutines. Rules may name files in the
// served tree that hold more rules (per-directory files, such as
// .rsync-filter); Enter reads them through a [Source].
//
// The rules of a receiver are dropped where stock drops them. Perishable rules
// act like any other on a sender.
package filter

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"rrserve/internal/rsyncproto/wire"
)

// Bounds of what is taken. Stock has only the first (BIGPATHBUFLEN); 65536
// rules and 4 MiB are far above every use known.
const (
	maxRule   = 5119    // bytes of one rule on the wire, or of one line in a file
	maxRules  = 65536   // rules of one list; also of all files on the way down to a directory
	maxBytes  = 4 << 20 // bytes of one list; also of all files on the way down to a directory
	maxMerges = 256     // per-directory files in force at a time
)

// rule is one element of a list. If merge is not nil the rule stands for the
// rules of a per-directory file, else it is a pattern.
type rule struct {
	pattern
	flags flags
	merge int // index of the dir-merge rule plus 1; 0: none

	// dir is set for an anchored pattern of a per-directory file: the
	// directory's absolute name without leading and with trailing slash.
	dir      string
	anchored bool
}

// dirMergeRule is a rule that names a per-directory file.
type dirMergeRule struct {
	name  string // one component
	from  string // where the scan of parents starts, as written; "": no scan
	flags flags
	made  origin // where the rule itself stands
}

// shown is how messages call the file.
func (m *dirMergeRule) shown() string { return m.made.name(m.name) }

// List is the client's rules in order. After Read and AddCVS it does not
// change and may be used by several goroutines.
type List struct {
	rules     []rule
	merges    []dirMergeRule
	xattrs    bool // there are rules for attribute names
	discarded int
}

// Read reads the filter list of protocol section 6.1, up to its end. Errors
// are those of the Reader (among them *wire.RangeError for a list that is out
// of bounds) and *SyntaxError.
func Read(r *wire.Reader, v wire.Version) (*List, error) {
	l := &List{}
	for count, size := 0, 0; ; count++ {
		n := int(r.Int("filter rule length", 0, maxRule))
		text := r.Bytes("filter rule", n, maxRule)
		if err := r.Err(); err != nil {
			return nil, fmt.Errorf("reading filter list: %w", err)
		}
		if n == 0 {
			return l, nil
		}
		size += n
		if count == maxRules || len(l.rules) > maxRules {
			return nil, fmt.Errorf("reading filter list: %w", &wire.RangeError{What: "number of filter rules", Got: maxRules + 1, Max: maxRules})
		}
		if size > maxBytes {
			return nil, fmt.Errorf("reading filter list: %w", &wire.RangeError{What: "filter list length", Got: int64(size), Max: maxBytes})
		}
		if err := l.add(string(text), v); err != nil {
			return nil, err
		}
	}
}

// Discarded returns the number of rules that were received and dropped because
// their pattern has 4096 bytes or more. Stock reports each as "discarding
// over-long filter".
func (l *List) Discarded() int { return l.discarded }

// AddCVS adds what the option -C stands for: the rules ":C" and "-C", after
// all others. The ignore lists of the server's account are not read.
func (l *List) AddCVS() {
	l.addDirMerge(dirMerge|cvs|noPrefixes|words|noInherit, cvsIgnore)
	l.rules = append(l.rules, cvsRules(0)...)
}

func (l *List) add(text string, v wire.Version) error {
	if text = cutNUL(text); text == "" {
		return nil
	}
	f, pattern, err := parseOld(text)
	if v.ModernFilters() {
		f, pattern, err = parse(text, 0, origin{})
	}
	switch {
	case err != nil:
		return err
	case f.has(clearList):
		l.rules, l.merges, l.xattrs = nil, nil, false
	case len(pattern) >= maxPattern:
		l.discarded++
	case f.has(merge):
		// Stock would open that name on the server.
		return origin{}.errorf(text, "merge rules are not accepted from a client")
	case f.has(dirMerge):
		if f.has(excludeSelf) {
			l.rules = append(l.rules, selfRule(f, pattern))
		}
		return l.addDirMerge(f, pattern)
	case f.has(cvs):
		l.rules = append(l.rules, cvsRules(f)...)
		l.xattrs = l.xattrs || f.has(xattrOnly)
	default:
		l.rules = append(l.rules, newRule(f, pattern))
		l.xattrs = l.xattrs || f.has(xattrOnly)
	}
	return nil
}

func (l *List) addDirMerge(f flags, pattern string) error {
	m := newDirMerge(f, pattern)
	switch {
	case known(l.merges, m.name):
	case len(l.merges) == maxMerges:
		return origin{}.errorf(pattern, "too many dir-merge rules")
	default:
		l.merges = append(l.merges, m)
		l.rules = append(l.rules, rule{merge: len(l.merges)})
	}
	return nil
}

func newRule(f flags, text string) rule {
	return rule{flags: f, pattern: compilePattern(text, f.has(absolute))}
}

// selfRule is what the modifier "e" adds before a merge rule.
func selfRule(f flags, name string) rule {
	return newRule(f&sides, name[strings.LastIndexByte(name, '/')+1:])
}

func newDirMerge(f flags, text string) dirMergeRule {
	i := strings.LastIndexByte(text, '/') + 1
	return dirMergeRule{name: text[i:], from: text[:i], flags: f}
}

// known reports whether a per-directory file of that name is in force; stock
// ignores the second of two.
func known(merges []dirMergeRule, name string) bool {
	return slices.ContainsFunc(merges, func(m dirMergeRule) bool { return m.name == name })
}

// cvsPatterns is the list that "-C" stands for (protocol section 3.7).
const cvsPatterns = "RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo" +
	" *~ #* .#* ,* _$* *$ *.old *.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj" +
	" *.so *.exe *.Z *.elc *.ln core .svn/ .git/ .hg/ .bzr/"

var compiledCVS = sync.OnceValue(func() []pattern {
	var out []pattern
	for text := range strings.FieldsSeq(cvsPatterns) {
		out = append(out, compilePattern(text, false))
	}
	return out
})

// cvsRules returns the rules that a "C" rule stands for. Its other modifiers
// apply to each of them; "/" changes nothing, since no pattern has a slash.
func cvsRules(f flags) []rule {
	patterns := compiledCVS()
	rules := make([]rule, len(patterns))
	for i, p := range patterns {
		rules[i] = rule{flags: f&(include|negate|sides|xattrOnly) | cvs, pattern: p}
	}
	return rules
}
