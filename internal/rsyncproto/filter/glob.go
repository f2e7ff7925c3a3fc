package filter

import (
	"math"
	"strings"
)

// Match reports whether text as a whole matches the wildcard pattern:
//
//	?       one byte other than '/'
//	*       any run of bytes without '/', also an empty one
//	**      any run of bytes, also an empty one (so is a longer run of stars)
//	[...]   one byte of the set other than '/'; [!...] and [^...] negate
//	\c      the byte c
//
// A set holds bytes, ranges and the POSIX classes of ASCII. A pattern with an
// unterminated set, an unknown class or a lone backslash at its end matches
// nothing. Bytes are compared, never characters.
//
// The work is bounded by (len(pattern)+1) * (len(text)+1) steps.
func Match(pattern, text string) bool {
	g, ok := compileGlob(pattern)
	if !ok {
		return false
	}
	matched, _ := g.match(text)
	return matched
}

type op uint8

const (
	opByte     op = iota // the byte c
	opAny                // one byte except '/'
	opSet                // one byte of set
	opStar               // a run without '/'
	opStarStar           // any run
)

// byteSet holds one bit per byte value.
type byteSet [256 / 64]uint64

func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) remove(c byte)   { s[c>>6] &^= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

// element is one step of a pattern. All but the stars take exactly one byte,
// on which the bounds of the matchers rest. It is small because a client may
// send megabytes of patterns.
type element struct {
	op  op
	c   byte
	set uint16 // index in sets; a pattern is shorter than 64 KiB
}

func (e element) star() bool     { return e.op >= opStar }
func (e element) is(c byte) bool { return e.op == opByte && e.c == c }

// elements are the steps of a pattern with the sets they refer to.
type elements struct {
	steps []element
	sets  []byteSet
}

func (p elements) slice(from, to int) elements { return elements{p.steps[from:to], p.sets} }

// accepts reports whether element i, not a star, takes the byte c.
func (p elements) accepts(i int, c byte) bool {
	switch e := p.steps[i]; e.op {
	case opByte:
		return c == e.c
	case opAny:
		return c != '/'
	default:
		return p.sets[e.set].has(c)
	}
}

// glob is a compiled wildcard pattern. The bytes before its first and after
// its last wildcard decide most comparisons.
type glob struct {
	elements
	prefix, suffix string
	middle         elements // without prefix and suffix
	tangled        bool     // a '*' follows a '**': one mark is not enough to go back to
}

// compileGlob returns false for a pattern that matches nothing.
func compileGlob(pattern string) (glob, bool) {
	p, ok := parseElements(pattern)
	if !ok {
		return glob{}, false
	}
	return newGlob(p), true
}

func newGlob(p elements) glob {
	g := glob{elements: p}
	first, last := 0, len(p.steps)
	for first < last && p.steps[first].op == opByte {
		first++
	}
	for last > first && p.steps[last-1].op == opByte {
		last--
	}
	g.prefix, g.suffix = literal(p.steps[:first]), literal(p.steps[last:])
	g.middle = p.slice(first, last)
	deep := false
	for _, e := range p.steps {
		g.tangled = g.tangled || deep && e.op == opStar
		deep = deep || e.op == opStarStar
	}
	return g
}

func literal(steps []element) string {
	b := make([]byte, len(steps))
	for i, e := range steps {
		b[i] = e.c
	}
	return string(b)
}

// parseElements returns false for a pattern that matches nothing.
func parseElements(p string) (elements, bool) {
	out := elements{steps: make([]element, 0, len(p))}
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '*':
			e := element{op: opStar}
			for i+1 < len(p) && p[i+1] == '*' {
				e.op = opStarStar
				i++
			}
			out.steps = append(out.steps, e)
		case '?':
			out.steps = append(out.steps, element{op: opAny})
		case '[':
			set, n := parseSet(p[i:])
			if n == 0 || len(out.sets) > math.MaxUint16 {
				return elements{}, false
			}
			i += n - 1
			out.steps = append(out.steps, element{op: opSet, set: uint16(len(out.sets))})
			out.sets = append(out.sets, set)
		case '\\':
			if i++; i == len(p) {
				return elements{}, false
			}
			out.steps = append(out.steps, element{op: opByte, c: p[i]})
		default:
			out.steps = append(out.steps, element{op: opByte, c: c})
		}
	}
	return out, true
}

// parseSet parses the set that p begins with and returns its length in bytes,
// 0 if the set is not well formed.
func parseSet(p string) (byteSet, int) {
	var set byteSet
	i := 1
	negate := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negate {
		i++
	}
	low := -1 // the byte that a range may start with
	for first := true; ; first = false {
		if i >= len(p) {
			return byteSet{}, 0
		}
		c := p[i]
		switch {
		case c == ']' && !first:
			if negate {
				for w := range set {
					set[w] = ^set[w]
				}
			}
			set.remove('/')
			return set, i + 1
		case c == '-' && low >= 0 && i+1 < len(p) && p[i+1] != ']':
			if i++; p[i] == '\\' {
				if i++; i == len(p) {
					return byteSet{}, 0
				}
			}
			for x := low; x <= int(p[i]); x++ {
				set.add(byte(x))
			}
			low = -1
		case c == '[' && strings.HasPrefix(p[i:], "[:"):
			n := strings.IndexByte(p[i+2:], ']')
			if n < 0 {
				return byteSet{}, 0
			}
			if name, ok := strings.CutSuffix(p[i+2:i+2+n], ":"); ok {
				if !set.addClass(name) {
					return byteSet{}, 0
				}
				i += 2 + n
				low = -1
				break
			}
			set.add(c)
			low = int(c)
		default:
			if c == '\\' {
				if i++; i == len(p) {
					return byteSet{}, 0
				}
				c = p[i]
			}
			set.add(c)
			low = int(c)
		}
		i++
	}
}

// addClass adds a POSIX class of the C locale; false for an unknown name.
func (s *byteSet) addClass(name string) bool {
	var in func(c byte) bool
	switch name {
	case "alnum":
		in = func(c byte) bool { return isAlpha(c) || isDigit(c) }
	case "alpha":
		in = isAlpha
	case "blank":
		in = func(c byte) bool { return c == ' ' || c == '\t' }
	case "cntrl":
		in = func(c byte) bool { return c < ' ' || c == 0x7f }
	case "digit":
		in = isDigit
	case "graph":
		in = isGraph
	case "lower":
		in = func(c byte) bool { return 'a' <= c && c <= 'z' }
	case "print":
		in = func(c byte) bool { return c == ' ' || isGraph(c) }
	case "punct":
		in = func(c byte) bool { return isGraph(c) && !isAlpha(c) && !isDigit(c) }
	case "space":
		in = isSpace
	case "upper":
		in = func(c byte) bool { return 'A' <= c && c <= 'Z' }
	case "xdigit":
		in = func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
	default:
		return false
	}
	for c := range 256 {
		if in(byte(c)) {
			s.add(byte(c))
		}
	}
	return true
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isGraph(c byte) bool { return '!' <= c && c <= '~' }
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// match compares the whole of t. The second result counts the steps taken.
func (g *glob) match(t string) (bool, int) {
	if len(t) < len(g.prefix)+len(g.suffix) || !strings.HasPrefix(t, g.prefix) || !strings.HasSuffix(t, g.suffix) {
		return false, 1
	}
	return g.matchMiddle(t[len(g.prefix) : len(t)-len(g.suffix)])
}

// matchTail compares t and every part of t that starts after a slash.
func (g *glob) matchTail(t string) (bool, int) {
	if !strings.HasSuffix(t, g.suffix) || !strings.Contains(t, g.prefix) {
		return false, 1
	}
	t = t[:len(t)-len(g.suffix)]
	if len(g.middle.steps) == 0 || g.middle.steps[0].op != opStarStar {
		return g.slice(0, len(g.steps)-len(g.suffix)).table(t, true)
	}
	// What a "**" takes from a later start it also takes from the first.
	for start := 0; ; {
		if strings.HasPrefix(t[start:], g.prefix) {
			return g.matchMiddle(t[start+len(g.prefix):])
		}
		next := strings.IndexByte(t[start:], '/')
		if next < 0 {
			return false, 1
		}
		start += next + 1
	}
}

func (g *glob) matchMiddle(t string) (bool, int) {
	if g.tangled {
		return g.middle.table(t, false)
	}
	return g.middle.backtrack(t)
}

// backtrack matches a pattern in which no '*' follows a '**'. Then only the
// last star ever has to take more bytes: an earlier one would only move the
// later ones further along the same run. So each pair of a position in t and
// an element is looked at once.
func (p elements) backtrack(t string) (bool, int) {
	i, j, steps := 0, 0, 0
	star, mark := -1, 0
	for {
		steps++
		switch {
		case i < len(p.steps) && p.steps[i].star():
			star, mark = i, j
			i++
			if i == len(p.steps) {
				return p.steps[star].op == opStarStar || strings.IndexByte(t[j:], '/') < 0, steps
			}
		case i < len(p.steps) && j < len(t) && p.accepts(i, t[j]):
			i++
			j++
		case i == len(p.steps) && j == len(t):
			return true, steps
		case star < 0, mark == len(t), p.steps[star].op == opStar && t[mark] == '/':
			return false, steps
		default:
			mark++
			i, j = star+1, mark
		}
	}
}

// table matches any pattern by keeping, element after element, the set of
// positions in t that can be reached. With tails, every position after a slash
// is a start.
func (p elements) table(t string, tails bool) (bool, int) {
	var small [256]bool
	reach := small[:]
	if len(t) >= len(small) {
		reach = make([]bool, len(t)+1)
	}
	reach = reach[:len(t)+1]
	reach[0] = true
	for j := 0; tails && j < len(t); j++ {
		reach[j+1] = t[j] == '/'
	}
	first, steps := 0, 0 // no position before first is reached
	for i, e := range p.steps {
		steps += len(t) + 1 - first
		if e.star() {
			for j := first; j < len(t); j++ {
				if reach[j] && (e.op == opStarStar || t[j] != '/') {
					reach[j+1] = true
				}
			}
			continue
		}
		for j := len(t); j > first; j-- {
			reach[j] = reach[j-1] && p.accepts(i, t[j-1])
		}
		reach[first] = false
		for !reach[first] {
			if first++; first > len(t) {
				return false, steps
			}
		}
	}
	return reach[len(t)], steps
}
