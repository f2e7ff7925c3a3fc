package fuzz

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"rrserve/internal/rsyncproto/charset"
)

// FuzzCharset looks character sets up by the client's name for them and
// converts names, in both directions. A name has the same components after it.
func FuzzCharset(f *testing.F) {
	for _, name := range []string{
		".", "utf8", "UTF-8//IGNORE", "iso-8859-1", "ISO885915", "latin1", "cp1252", "koi8r", "gb18030", "big5", "euc-jp", "shift_jis", "iso-2022-jp",
		"hz-gb-2312", "utf-16", "utf-7", "ebcdic-us", "replacement", "x-user-defined", "", "bogus", "\xff",
	} {
		for _, text := range []string{"a/b", "\xe9/\xfc", "é/ü", "\x1b$B../\x1b(B", "~{/..~}", "\x81\x30\x81\x30", "日本/語", "\xc3", "a\x1b(B.."} {
			f.Add(name, text)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		defer limits{2 << 20, 200}.hold(t, len(name)+len(text))()
		c, err := charset.Lookup(name)
		if err != nil {
			if c != nil || err.Error() == "" {
				t.Errorf("%v, %q", c, err)
			}
			return
		}
		c.Message(text)
		if out, err := c.ToUTF8(text); err == nil {
			if !utf8.ValidString(out) {
				t.Errorf("%s: %q becomes %q", name, text, out)
			}
			sameComponents(t, name, text, out)
			if back, err := c.FromUTF8(out); err == nil {
				sameComponents(t, name, out, back)
			}
		}
		if out, err := c.FromUTF8(text); err == nil {
			sameComponents(t, name, text, out)
		}
	})
}

// sameComponents holds a converted name to have the same depth, and to have
// ".", ".." and nothing where the name has them.
func sameComponents(t *testing.T, charset, from, to string) {
	t.Helper()
	special := func(part string) string {
		if slices.Contains([]string{"", ".", ".."}, part) {
			return part
		}
		return "name"
	}
	a, b := strings.Split(from, "/"), strings.Split(to, "/")
	if len(a) != len(b) || strings.Count(from, "\x00") != strings.Count(to, "\x00") {
		t.Fatalf("%s: %q becomes %q", charset, from, to)
	}
	for i := range a {
		if special(a[i]) != special(b[i]) {
			t.Errorf("%s: %q becomes %q", charset, from, to)
		}
	}
}
