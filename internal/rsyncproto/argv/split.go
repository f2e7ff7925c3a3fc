package argv

import "strings"

// Word is one word of a command line after quote removal. It remembers which
// bytes were quoted: those have no meaning as wildcard, brace or tilde.
type Word struct {
	text   string
	quoted []bool // per byte of text; nil when no byte was quoted
}

// String returns the text without its quotes.
func (w Word) String() string { return w.text }

// bare reports whether byte i stands unquoted and is c.
func (w Word) bare(i int, c byte) bool {
	return i < len(w.text) && w.text[i] == c && !w.isQuoted(i)
}

func (w Word) isQuoted(i int) bool { return w.quoted != nil && w.quoted[i] }

// slice returns the bytes from lo up to hi.
func (w Word) slice(lo, hi int) Word {
	if w.quoted == nil {
		return Word{text: w.text[lo:hi]}
	}
	return Word{w.text[lo:hi], w.quoted[lo:hi]}
}

// Split splits a command line into words as a POSIX shell would, working on
// bytes. What a shell would interpret beyond words and quotes ($, `, ;, &, |,
// <, >, parentheses, a line feed, a comment, an unterminated quote) is refused
// and never interpreted. Braces, tilde and wildcards stay in the words.
//
// The command has at most MaxCommand bytes and MaxWords words. The error is a
// *Refusal.
func Split(command string) ([]Word, error) {
	if len(command) > MaxCommand {
		return nil, refuse(statusSyntax, CodeLimit, "the command line is longer than %d bytes", MaxCommand)
	}
	if strings.IndexByte(command, 0) >= 0 {
		return nil, refuseSyntax(0)
	}
	s := splitter{src: command}
	for s.pos < len(s.src) {
		if err := s.step(); err != nil {
			return nil, err
		}
		if len(s.words) > MaxWords {
			return nil, refuse(statusSyntax, CodeLimit, "more than %d words on the command line", MaxWords)
		}
	}
	s.endWord()
	return s.words, nil
}

// splitter is the state of Split between two steps.
type splitter struct {
	src    string
	pos    int
	words  []Word
	text   []byte // of the word being read
	quoted []bool // parallel to text
	inWord bool   // the word exists even when its text is empty ('')
	marked bool   // some byte of it is quoted
}

func (s *splitter) add(c byte, quoted bool) {
	s.text = append(s.text, c)
	s.quoted = append(s.quoted, quoted)
	s.inWord = true
	s.marked = s.marked || quoted
}

func (s *splitter) endWord() {
	if !s.inWord {
		return
	}
	w := Word{text: string(s.text)}
	if s.marked {
		w.quoted = append([]bool(nil), s.quoted...)
	}
	s.words = append(s.words, w)
	s.text, s.quoted = s.text[:0], s.quoted[:0]
	s.inWord, s.marked = false, false
}

// step consumes one unquoted byte, one escaped byte or one quoted stretch.
func (s *splitter) step() error {
	c := s.src[s.pos]
	s.pos++
	switch {
	case c == ' ' || c == '\t':
		s.endWord()
	case c == '\\':
		s.escape()
	case c == '\'':
		return s.single()
	case c == '"':
		return s.double()
	case strings.IndexByte("$`;&|<>()\n", c) >= 0 || c == '#' && !s.inWord:
		return refuseSyntax(c)
	default:
		s.add(c, false)
	}
	return nil
}

// escape takes the byte behind a backslash literally. A shell drops an escaped
// line feed; taking it as a byte of a name serves clients since 3.2.4, which
// send such names that way.
func (s *splitter) escape() {
	if s.pos == len(s.src) {
		s.add('\\', true)
		return
	}
	s.add(s.src[s.pos], true)
	s.pos++
}

func (s *splitter) single() error {
	n := strings.IndexByte(s.src[s.pos:], '\'')
	if n < 0 {
		return refuse(statusSyntax, CodeQuote, "a quote (') is not closed")
	}
	s.inWord = true
	for _, c := range []byte(s.src[s.pos : s.pos+n]) {
		s.add(c, true)
	}
	s.pos += n + 1
	return nil
}

func (s *splitter) double() error {
	s.inWord = true
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		s.pos++
		switch c {
		case '"':
			return nil
		case '$', '`':
			return refuseSyntax(c)
		case '\\':
			if s.pos < len(s.src) && strings.IndexByte("$`\"\\\n", s.src[s.pos]) >= 0 {
				c = s.src[s.pos]
				s.pos++
			}
		}
		s.add(c, true)
	}
	return refuse(statusSyntax, CodeQuote, `a quote (") is not closed`)
}

func refuseSyntax(c byte) *Refusal {
	what := map[byte]string{'\n': "a line feed", 0: "a NUL byte"}[c]
	if what == "" {
		what = string(c)
	}
	return refuse(statusSyntax, CodeQuote, "%s is shell syntax, and no shell runs here: put a backslash before it if it belongs to a name", what)
}
