package argv

import "strings"

// pattern is a compiled wildcard pattern for one path component.
type pattern []element

// element matches one byte of its set, or any run of bytes when star.
type element struct {
	star bool
	set  byteSet
}

type byteSet [4]uint64

func (s *byteSet) add(c byte) { s[c>>6] |= 1 << (c & 63) }

func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *byteSet) addRange(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		s.add(byte(c))
	}
}

func (s *byteSet) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// match reports whether p matches the whole name. Only the last star is ever
// tried again, so the work is at most len(p) * len(name).
func (p pattern) match(name string) bool {
	if p.minLen() > len(name) {
		return false
	}
	at, i := 0, 0
	star, mark := -1, 0 // the last star, and where its run ends for now
	for i < len(name) {
		switch {
		case at < len(p) && p[at].star:
			star, mark = at, i
			at++
		case at < len(p) && p[at].set.has(name[i]):
			at++
			i++
		case star >= 0:
			mark++
			at, i = star+1, mark
		default:
			return false
		}
	}
	for at < len(p) && p[at].star {
		at++
	}
	return at == len(p)
}

// minLen returns the length of the shortest name that can match.
func (p pattern) minLen() int {
	n := 0
	for i := range p {
		if !p[i].star {
			n++
		}
	}
	return n
}

func (p *pattern) star() {
	if n := len(*p); n == 0 || !(*p)[n-1].star {
		*p = append(*p, element{star: true})
	}
}

func (p *pattern) literal(c byte) {
	var e element
	e.set.add(c)
	*p = append(*p, e)
}

func (p *pattern) any() {
	var e element
	e.set.invert()
	*p = append(*p, e)
}

// shellPattern compiles a component as a POSIX shell does in the C locale:
// quoted bytes are literal, and so is a "[" without its end. ok is false when
// the component has no wildcard.
func shellPattern(w Word) (p pattern, ok bool) {
	p = make(pattern, 0, len(w.text))
	for i := 0; i < len(w.text); {
		switch {
		case w.bare(i, '*'):
			p.star()
			i, ok = i+1, true
		case w.bare(i, '?'):
			p.any()
			i, ok = i+1, true
		case w.bare(i, '['):
			if set, n := shellSet(w, i); n > 0 {
				p = append(p, element{set: set})
				i, ok = i+n, true
				continue
			}
			fallthrough
		default:
			p.literal(w.text[i])
			i++
		}
	}
	return p, ok
}

// shellSet compiles the set that begins at i; n is its length in the word, 0
// when it has no end.
func shellSet(w Word, i int) (set byteSet, n int) {
	start := i
	i++
	negate := w.bare(i, '!') || w.bare(i, '^')
	if negate {
		i++
	}
	for first := true; i < len(w.text); first = false {
		if w.bare(i, ']') && !first {
			if negate {
				set.invert()
			}
			return set, i + 1 - start
		}
		if w.bare(i, '[') && w.bare(i+1, ':') {
			if class, n := className(w.text[i:]); n > 0 && !anyQuoted(w, i, i+n) && addClass(&set, class) {
				i += n
				continue
			}
		}
		lo := w.text[i]
		if w.bare(i+1, '-') && i+2 < len(w.text) && !w.bare(i+2, ']') {
			set.addRange(lo, w.text[i+2])
			i += 3
			continue
		}
		set.add(lo)
		i++
	}
	return set, 0
}

func anyQuoted(w Word, lo, hi int) bool {
	for i := lo; i < hi; i++ {
		if w.isQuoted(i) {
			return true
		}
	}
	return false
}

// className reads "[:name:]" at the start of s; n is its length, 0 when s
// begins with something else.
func className(s string) (name string, n int) {
	end := strings.Index(s, ":]")
	if end < 2 || strings.IndexByte(s[:end], ']') >= 0 {
		return "", 0
	}
	return s[2:end], end + 2
}

// addClass adds the bytes of a character class of the C locale; false for an
// unknown name.
func addClass(set *byteSet, name string) bool {
	in, ok := classes[name]
	if !ok {
		return false
	}
	for c := range byte(128) {
		if in(c) {
			set.add(c)
		}
	}
	return true
}

var classes = map[string]func(c byte) bool{
	"alnum":  func(c byte) bool { return isAlpha(c) || isDigit(c) },
	"alpha":  isAlpha,
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 127 },
	"digit":  isDigit,
	"graph":  func(c byte) bool { return c > ' ' && c < 127 },
	"lower":  func(c byte) bool { return 'a' <= c && c <= 'z' },
	"print":  func(c byte) bool { return c >= ' ' && c < 127 },
	"punct":  func(c byte) bool { return c > ' ' && c < 127 && !isAlpha(c) && !isDigit(c) },
	"space":  func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
	"upper":  func(c byte) bool { return 'A' <= c && c <= 'Z' },
	"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' },
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// wildPattern compiles rsync's own wildcards, for one path component
// (wildmatch.c): a backslash escapes. ok is false when it can match nothing: with
// a malformed set, an unknown class or a backslash at its end.
func wildPattern(glob string) (p pattern, ok bool) {
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			p.star()
		case '?':
			p.any()
		case '[':
			set, n := wildSet(glob[i:])
			if n == 0 {
				return nil, false
			}
			p = append(p, element{set: set})
			i += n - 1
		case '\\':
			if i++; i == len(glob) {
				return nil, false
			}
			p.literal(glob[i])
		default:
			p.literal(c)
		}
	}
	return p, true
}

// wildSet compiles the set at the start of s; n is its length, 0 when it is
// malformed.
func wildSet(s string) (set byteSet, n int) {
	i := 1
	negate := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negate {
		i++
	}
	prev := -1 // a single byte that may begin a range
	for first := true; i < len(s); first = false {
		switch c := s[i]; {
		case c == ']' && !first:
			if negate {
				set.invert()
			}
			return set, i + 1
		case c == '-' && prev >= 0 && i+1 < len(s) && s[i+1] != ']':
			if i++; s[i] == '\\' {
				i++
			}
			if i == len(s) {
				return set, 0
			}
			set.addRange(byte(prev), s[i])
			prev = -1
		case c == '[' && i+1 < len(s) && s[i+1] == ':':
			name, n := className(s[i:])
			if n == 0 {
				set.add(c)
				prev = int(c)
				break
			}
			if !addClass(&set, name) {
				return set, 0
			}
			i += n - 1
			prev = -1
		default:
			if c == '\\' {
				if i++; i == len(s) {
					return set, 0
				}
				c = s[i]
			}
			set.add(c)
			prev = int(c)
		}
		i++
	}
	return set, 0
}
