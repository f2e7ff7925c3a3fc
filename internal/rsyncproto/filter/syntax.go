package filter

import (
	"fmt"
	"strings"
)

// SyntaxError is a rule, received or found in a per-directory file, that
// cannot be used. It ends the session: its text goes to the client as an error
// message, followed by exit code 1.
type SyntaxError struct{ text string }

func (e *SyntaxError) Error() string { return e.text }

// maxQuote bounds how much of a received rule an error repeats, in bytes.
const maxQuote = 256

// origin says where a rule comes from. The zero origin is the client.
type origin struct {
	file string // absolute virtual path
	line int    // from 1; 0 in a file of words
}

// name is how errors call the rule text. Text of files is not repeated: the
// client may not be allowed to see it.
func (o origin) name(text string) string {
	switch {
	case o.file == "":
		return text[:min(len(text), maxQuote)]
	case o.line == 0:
		return fmt.Sprintf("<rule from %s>", o.file)
	default:
		return fmt.Sprintf("<rule from %s line %d>", o.file, o.line)
	}
}

func (o origin) errorf(text, format string, args ...any) error {
	return &SyntaxError{fmt.Sprintf(format, args...) + ": " + o.name(text)}
}

// flags are what a rule's prefix and modifiers say.
type flags uint16

const (
	include     flags = 1 << iota // "+"
	absolute                      // "/"
	negate                        // "!"
	sender                        // "s"
	receiver                      // "r"
	xattrOnly                     // "x"
	cvs                           // "C"
	dirMerge                      // the rule names a per-directory file
	merge                         // the rule names a file to read now
	clearList                     // the rule empties the list
	noPrefixes                    // "-" or "+" on a merge
	noInherit                     // "n"
	words                         // "w"
	excludeSelf                   // "e"

	sides    = sender | receiver
	anyMerge = dirMerge | merge
)

func (f flags) has(bits flags) bool { return f&bits != 0 }

// inherited is what the rules of a file get from the rule that names the file.
func (f flags) inherited() flags { return f & (absolute | sides) }

// receiverOnly reports whether a rule is none of a sender's business.
func (f flags) receiverOnly() bool { return f&sides == receiver }

const (
	// maxPattern is the length in bytes from which stock discards a pattern.
	maxPattern = 4096
	// cvsIgnore is the file that a dir-merge rule with "C" reads by default.
	cvsIgnore = ".cvsignore"
)

// cutNUL cuts text at a NUL, in a file as on the wire; stock takes it for the
// end. What is then empty is no rule.
func cutNUL(text string) string {
	text, _, _ = strings.Cut(text, "\x00")
	return text
}

// parse parses one rule, not empty. The flags in are those of the rule that names the
// file the text is from, 0 on the wire.
func parse(text string, in flags, from origin) (flags, string, error) {
	if in.has(noPrefixes) {
		if in.has(cvs) && text == "!" {
			return clearList, "", nil
		}
		return in.inherited() | in&include, text, nil
	}
	f, n := parseName(text)
	if n == 0 {
		return 0, "", from.errorf(text, "Unknown filter rule")
	}
	if n < len(text) && text[n] == ',' {
		n++
	}
	if f.has(clearList) {
		if n < len(text) {
			return 0, "", from.errorf(text, "'!' rule has trailing characters")
		}
		return f, "", nil
	}
	sided := f.has(sides) // by its name; it takes no side as modifier
	for ; n < len(text) && text[n] != ' ' && text[n] != '_'; n++ {
		m, ok := f.modifier(text[n], sided)
		if !ok {
			return 0, "", badModifier(text, n, from)
		}
		f |= m
	}
	pattern := text[min(n+1, len(text)):]
	if in.has(sides) && f.has(sides) {
		return 0, "", from.errorf(text, "specified-side merge file contains specified-side filter")
	}
	f |= in.inherited()
	if pattern == "" && !f.has(cvs) {
		return 0, "", from.errorf(text, "unexpected end of filter rule")
	}
	if pattern == "" && f.has(anyMerge) {
		pattern = cvsIgnore
	}
	return f, pattern, nil
}

func badModifier(text string, at int, from origin) error {
	if from.file != "" {
		return from.errorf(text, "invalid modifier in filter rule")
	}
	return from.errorf(text, "invalid modifier '%s' at position %d in filter rule", text[at:at+1], at)
}

// parseName recognises the name of a rule at the start of text and returns its
// length, 0 if there is none.
func parseName(text string) (flags, int) {
	word := text
	if n := strings.IndexAny(text, " \t\n\v\f\r_,"); n >= 0 {
		word = text[:n]
	}
	switch word {
	case "exclude":
		return 0, len(word)
	case "include":
		return include, len(word)
	case "hide":
		return sender, len(word)
	case "show":
		return sender | include, len(word)
	case "protect":
		return receiver, len(word)
	case "risk":
		return receiver | include, len(word)
	case "dir-merge":
		return dirMerge, len(word)
	case "merge":
		return merge, len(word)
	case "clear":
		return clearList, len(word)
	}
	switch text[0] {
	case '-':
		return 0, 1
	case '+':
		return include, 1
	case 'H':
		return sender, 1
	case 'S':
		return sender | include, 1
	case 'P':
		return receiver, 1
	case 'R':
		return receiver | include, 1
	case ':':
		return dirMerge, 1
	case '.':
		return merge, 1
	case '!':
		return clearList, 1
	}
	return 0, 0
}

// modifier returns what the modifier c adds to f, and whether it may stand
// there. Sided says that the rule's name is one of H, S, P and R.
func (f flags) modifier(c byte, sided bool) (flags, bool) {
	isMerge := f.has(anyMerge)
	switch c {
	case '/':
		return absolute, true
	case 'x':
		return xattrOnly, true
	case 'p':
		return 0, true // perishable: only a receiver that deletes cares
	case '!':
		return negate, !isMerge
	case 's':
		return sender, !sided
	case 'r':
		return receiver, !sided
	case 'C':
		return cvs | noPrefixes | words | noInherit, !sided && !f.has(noPrefixes)
	case '-':
		return noPrefixes, isMerge && !f.has(noPrefixes)
	case '+':
		return noPrefixes | include, isMerge && !f.has(noPrefixes)
	case 'n':
		return noInherit, isMerge
	case 'w':
		return words, isMerge
	case 'e':
		return excludeSelf, isMerge
	}
	return 0, false
}

// parseOld parses a rule, not empty, of protocol 28 and below, where the two prefixes are
// all there is.
func parseOld(text string) (flags, string, error) {
	if text == "!" {
		return clearList, "", nil
	}
	pattern, f := text, flags(0)
	if rest, ok := strings.CutPrefix(text, "+ "); ok {
		pattern, f = rest, include
	} else if rest, ok := strings.CutPrefix(text, "- "); ok {
		pattern = rest
	}
	if pattern == "" {
		return 0, "", origin{}.errorf(text, "unexpected end of filter rule")
	}
	return f, pattern, nil
}
