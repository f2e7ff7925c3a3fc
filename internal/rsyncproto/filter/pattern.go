package filter

import "strings"

// comparison is how the text of a name is compared with a pattern.
type comparison uint8

const (
	never       comparison = iota
	baseEqual              // the last component is text
	wholeEqual             // the subject is text
	tailEqual              // the subject is text or ends in "/" and text
	baseGlob               // the last component matches
	wholeGlob              // the subject matches
	lastGlob               // the last components of the subject match
	anyTailGlob            // the subject, or a part after a slash, matches
)

// pattern is a rule's pattern, prepared for comparing (protocol section 3.4).
type pattern struct {
	how      comparison
	dirOnly  bool
	slashes  int
	text     string // of the Equal comparisons
	written  string // the pattern itself
	globs    []glob // of the Glob comparisons: any of them
	dirGlobs []glob // further ones for directories
}

// compilePattern prepares the text of a pattern. An absolute pattern is
// compared with absolute names, which begin without a slash.
func compilePattern(text string, absolute bool) pattern {
	p := pattern{written: text}
	if len(text) > 1 && text[len(text)-1] == '/' {
		p.dirOnly = true
		text = text[:len(text)-1]
	}
	p.slashes = strings.Count(text, "/")
	wild := strings.ContainsAny(text, "*?[")
	deep := wild && strings.Contains(text, "**")
	deepFirst := strings.HasPrefix(text, "**")
	deepDirs := strings.HasSuffix(text, "***")
	p.text = text
	rest, anchored := strings.CutPrefix(text, "/")
	if anchored {
		p.text = rest
	}
	p.how = howToCompare(p.slashes, wild, deep, deepFirst, anchored)
	if !wild {
		return p
	}
	all, ok := parseElements(p.text)
	if !ok {
		p.how = never
		return p
	}
	variants := []elements{all}
	if deepFirst && !absolute && len(all.steps) > 1 && all.steps[1].is('/') {
		// The subject gets a slash in front: "**/" may also take nothing.
		variants = append(variants, all.slice(2, len(all.steps)))
	}
	for _, v := range variants {
		p.globs = append(p.globs, newGlob(v))
		if n := len(v.steps) - 2; deepDirs && n >= 0 && v.steps[n].is('/') {
			// A directory gets a slash at its end: "/***" may take just that.
			p.dirGlobs = append(p.dirGlobs, newGlob(v.slice(0, n)))
		}
	}
	return p
}

func howToCompare(slashes int, wild, deep, deepFirst, anchored bool) comparison {
	switch {
	case !wild && slashes == 0:
		return baseEqual
	case !wild && anchored:
		return wholeEqual
	case !wild:
		return tailEqual
	case slashes == 0 && !deep:
		return baseGlob
	case anchored || deepFirst:
		return wholeGlob
	case deep:
		return anyTailGlob
	default:
		return lastGlob
	}
}

// onBase reports whether only the last component of a name matters.
func (p *pattern) onBase() bool { return p.how == baseEqual || p.how == baseGlob }

// match compares a subject: the last component of a name if onBase, else the
// name in the form that the rule asks for.
func (p *pattern) match(subject string, isDir bool) bool {
	switch p.how {
	case baseEqual, wholeEqual:
		return subject == p.text
	case tailEqual:
		cut := len(subject) - len(p.text)
		return cut >= 0 && subject[cut:] == p.text && (cut == 0 || subject[cut-1] == '/')
	case never:
		return false
	case lastGlob:
		var ok bool
		if subject, ok = lastComponents(subject, p.slashes); !ok {
			return false
		}
	}
	return p.matchGlobs(p.globs, subject) || isDir && p.matchGlobs(p.dirGlobs, subject)
}

func (p *pattern) matchGlobs(globs []glob, subject string) bool {
	for i := range globs {
		var ok bool
		if p.how == anyTailGlob {
			ok, _ = globs[i].matchTail(subject)
		} else {
			ok, _ = globs[i].match(subject)
		}
		if ok {
			return true
		}
	}
	return false
}

// lastComponents returns the end of name with the given number of slashes, and
// whether name has that many.
func lastComponents(name string, slashes int) (string, bool) {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] != '/' {
			continue
		}
		if slashes == 0 {
			return name[i+1:], true
		}
		slashes--
	}
	return name, slashes == 0
}
