// Package charset turns the names of a tree into UTF-8 and back, for --iconv.
package charset

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

// Errors of ToUTF8 and FromUTF8. The two are told apart as iconv(3) does
// (EILSEQ and EINVAL).
var (
	ErrInvalid    = errors.New("not of this character set")
	ErrIncomplete = errors.New("ends within a character")
)

// UnknownError is the name of a character set that is not served.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string { return fmt.Sprintf("unknown character set %q", e.Name) }

// Charset is a character set of file names, a superset of ASCII.
type Charset struct {
	enc   encoding.Encoding // nil: UTF-8
	bytes *table            // where each byte is a character
}

// table is a character set of single bytes.
type table struct {
	to   [256]rune // utf8.RuneError: none
	from map[rune]byte
}

// newTable makes the table of m, with the bytes 0x80 to 0x9f as iconv(3) has
// them and x/text has not: in ISO 8859 they are control characters, and in other
// sets they never are.
func newTable(m *charmap.Charmap, iso8859 bool) *table {
	t := &table{from: map[rune]byte{}}
	for i := range t.to {
		b := byte(i)
		r := m.DecodeByte(b)
		switch control := b >= 0x80 && b <= 0x9f; {
		case control && iso8859:
			r = rune(b)
		case control && r == rune(b):
			r = utf8.RuneError
		}
		if t.to[i] = r; r != utf8.RuneError {
			t.from[r] = b
		}
	}
	return t
}

func (t *table) decode(name string) (string, error) {
	var out strings.Builder
	for i := range len(name) {
		r := t.to[name[i]]
		if r == utf8.RuneError {
			return "", ErrInvalid
		}
		out.WriteRune(r)
	}
	return out.String(), nil
}

func (t *table) encode(name string) (string, error) {
	var out strings.Builder
	for _, r := range name {
		b, ok := t.from[r]
		if !ok {
			return "", ErrInvalid
		}
		out.WriteByte(b)
	}
	return out.String(), nil
}

// Lookup finds a character set by a name of the IANA registry, such as
// ISO-8859-15 or windows-1252, or in one of the spellings that iconv(1) takes
// for it, such as ISO885915, latin1 or CP1252; case does not matter. "." is
// UTF-8. Sets in which a byte of ASCII may mean another character, such as
// EBCDIC and UTF-16, are unknown: a slash would not be one. The error is an
// *UnknownError.
func Lookup(name string) (*Charset, error) {
	plain, _, _ := strings.Cut(strings.ToLower(name), "//") // less //TRANSLIT
	for _, n := range spellings(plain) {
		enc := find(n)
		if enc == unicode.UTF8 {
			return &Charset{}, nil
		}
		if enc == nil || !hasASCII(enc) {
			continue
		}
		c := &Charset{enc: enc}
		if m, ok := enc.(*charmap.Charmap); ok {
			c.bytes = newTable(m, strings.HasPrefix(m.String(), "ISO 8859"))
		}
		return c, nil
	}
	return nil, &UnknownError{name}
}

func find(name string) encoding.Encoding {
	if enc, err := ianaindex.IANA.Encoding(name); err == nil && enc != nil {
		return enc
	}
	// The WHATWG's list knows more names, but calls ISO-8859-1 what is not.
	if enc, err := htmlindex.Get(name); err == nil && !strings.Contains(name, "8859") {
		return enc
	}
	return nil
}

// spellings returns names of the registry that name may stand for.
func spellings(name string) []string {
	all := []string{name}
	if name == "." || name == "utf8" {
		all = append(all, "utf-8")
	}
	if rest, ok := strings.CutPrefix(strings.NewReplacer("-", "", "_", "").Replace(name), "iso8859"); ok {
		all = append(all, "iso-8859-"+rest)
	}
	if rest, ok := strings.CutPrefix(name, "cp"); ok {
		all = append(all, "windows-"+rest, "ibm"+rest, "ibm00"+rest)
	}
	for _, family := range []string{"koi8", "euc"} {
		if rest, ok := strings.CutPrefix(name, family); ok {
			all = append(all, family+"-"+rest)
		}
	}
	return all
}

// hasASCII reports whether the printable characters of ASCII are themselves.
func hasASCII(enc encoding.Encoding) bool {
	var ascii []byte
	for c := byte(' '); c < 0x7f; c++ {
		ascii = append(ascii, c)
	}
	got, err := enc.NewDecoder().Bytes(ascii)
	return err == nil && string(got) == string(ascii)
}

// ToUTF8 returns a name in UTF-8. It has as many NUL bytes as before, and the
// same components: "", "." and ".." stay what they are, and no other becomes one.
func (c *Charset) ToUTF8(name string) (string, error) {
	if c.enc == nil || isASCII(name) {
		return name, valid(name)
	}
	if c.bytes != nil {
		return c.bytes.decode(name)
	}
	out, err := c.enc.NewDecoder().String(name)
	// What has no meaning becomes a replacement character.
	if err != nil || strings.ContainsRune(out, utf8.RuneError) || !sameStructure(name, out) {
		return "", ErrInvalid
	}
	return out, nil
}

// Message returns a text for people in UTF-8. What is none of the character set
// stays as it is.
func (c *Charset) Message(text string) string {
	if out, err := c.ToUTF8(text); err == nil {
		return out
	}
	if c.bytes == nil {
		return text
	}
	var out strings.Builder
	for i := range len(text) {
		if r := c.bytes.to[text[i]]; r != utf8.RuneError {
			out.WriteRune(r)
		} else {
			out.WriteByte(text[i])
		}
	}
	return out.String()
}

// FromUTF8 returns the name in the character set, with the same components as
// before like ToUTF8.
func (c *Charset) FromUTF8(name string) (string, error) {
	if err := valid(name); err != nil || c.enc == nil || isASCII(name) {
		return name, err
	}
	if c.bytes != nil {
		return c.bytes.encode(name)
	}
	out, err := c.enc.NewEncoder().String(name)
	if err != nil || !sameStructure(name, out) {
		return "", ErrInvalid
	}
	return out, nil
}

// sameStructure reports whether two names have the same components, as far as
// these mean a place and not a name. Bytes that only shift the meaning of others
// could otherwise hide a ".." or be a name of which nothing is left.
func sameStructure(a, b string) bool {
	if strings.Count(a, "\x00") != strings.Count(b, "\x00") {
		return false
	}
	for more := true; more; {
		var partA, partB string
		var moreB bool
		partA, a, more = strings.Cut(a, "/")
		partB, b, moreB = strings.Cut(b, "/")
		if more != moreB || place(partA) != place(partB) {
			return false
		}
	}
	return true
}

// place is a component that is no name, "name" for all others.
func place(component string) string {
	switch component {
	case "", ".", "..":
		return component
	}
	return "name"
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] == 0x1b { // ESC shifts ISO-2022
			return false
		}
	}
	return true
}

// valid says what is wrong with UTF-8.
func valid(s string) error {
	for i, r := range s {
		if r != utf8.RuneError {
			continue
		}
		if _, n := utf8.DecodeRuneInString(s[i:]); n != 1 {
			continue // the replacement character itself
		}
		if !utf8.FullRuneInString(s[i:]) {
			return ErrIncomplete
		}
		return ErrInvalid
	}
	return nil
}
