package filter

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a*b", "ab", true},
		{"a*b", "a/b", false},
		{"a**b", "a/b", true},
		{"a?b", "a/b", false},
		{"a[/]b", "a/b", false},
		{"a[!x]b", "a/b", false},
		{`a\/b`, "a/b", true},
		{`a\`, `a\`, false},
		{"*/*b/c", "x/ab/c", true},
		{"*a*/c", "aXa/c", true},
		{"**a*b", "a/xa/ab", true},
		{"**a*b", "a/xa/b", false},
		{"**/x*y", "q/x/xzy", true},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[!]]", "x", true},
		{"[]-a]", "^", true},
		{"[a-]", "-", true},
		{"[-a]", "-", true},
		{"[a-c-e]", "-", true},
		{"[a-c-e]", "d", false},
		{`[\]]`, "]", true},
		{`[a-\]]`, "]", false}, // reversed
		{`[A-\]]`, "]", true},
		{`[A-\`, "A", false},
		{`[\`, "\\", false},
		{"[z-a]", "z", true}, // the byte before the range is an item of its own
		{"[z-a]", "m", false},
		{"[[:alpha:]-z]", "-", true},
		{"[[:alpha:]", "a", false},
		{"[[:]", "[", true},
		{"[[:]", ":", true},
		{"[[:", "[", false},
		{"[[:alpha]", "a", true}, // not a class: the bytes [ : a l p h
		{"[[:alpha]", "b", false},
		{"[[:nope:]]", "n", false},
		{"[![:digit:]]", "1", false},
		{"[![:digit:]]", "x", true},
		{"[[:alnum:]][[:alpha:]][[:blank:]][[:cntrl:]]", "1Z\t\x7f", true},
		{"[[:digit:]][[:graph:]][[:lower:]][[:print:]]", "0~q ", true},
		{"[[:punct:]][[:space:]][[:upper:]][[:xdigit:]]", "@\vQf", true},
		{"[[:alpha:]]", "@", false},
		{"[[:alpha:]]", "\xe9", false},
		{"[[:xdigit:]]", "g", false},
		{"[\x80-\xff]", "\xe9", true},
		{"f?", "f\xc3\xa9", false},
		{"f??", "f\xc3\xa9", true},
		{"a\nb*", "a\nb", true},
	} {
		if got := Match(c.pattern, c.text); got != c.want {
			t.Errorf("Match(%q, %q) = %t", c.pattern, c.text, got)
		}
	}
}

// Both ways of matching give what a regular expression with the same meaning
// gives.
func TestMatchAgainstRegexp(t *testing.T) {
	pieces := []string{"a", "b", "/", "*", "*", "**", "?", "[ab]", "[!a]"}
	meaning := strings.NewReplacer("**", ".*", "*", "[^/]*", "?", "[^/]", "[ab]", "[ab]", "[!a]", "[^a/]")
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 4000 {
		var pattern, expr strings.Builder
		last := ""
		for range r.IntN(7) {
			p := pieces[r.IntN(len(pieces))]
			if p[0] == '*' && last != "" && last[0] == '*' {
				continue // a longer run would be another piece
			}
			pattern.WriteString(p)
			expr.WriteString(meaning.Replace(p))
			last = p
		}
		whole := regexp.MustCompile("^(?s:" + expr.String() + ")$")
		tail := regexp.MustCompile("^(?s:(.*/)?" + expr.String() + ")$")
		g, ok := compileGlob(pattern.String())
		if !ok {
			t.Fatalf("%q does not compile", pattern.String())
		}
		for range 20 {
			b := make([]byte, r.IntN(9))
			for i := range b {
				b[i] = "aab/"[r.IntN(4)]
			}
			text := string(b)
			want := whole.MatchString(text)
			if want {
				matched++
			}
			if got, _ := g.match(text); got != want {
				t.Fatalf("match(%q, %q) = %t", pattern.String(), text, got)
			}
			if got, _ := g.table(text, false); got != want {
				t.Fatalf("table(%q, %q) = %t", pattern.String(), text, got)
			}
			if got, _ := g.matchTail(text); got != tail.MatchString(text) {
				t.Fatalf("matchTail(%q, %q) = %t", pattern.String(), text, got)
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d of the texts matched", matched)
	}
}

// Patterns that take exponential time where every star is tried at every place.
func TestMatchStepsAreBounded(t *testing.T) {
	long := strings.Repeat("a", 4095)
	deep := strings.Repeat("a/", 2047)
	for _, pattern := range []string{
		strings.Repeat("a*", 20) + "b",
		strings.Repeat("a*", 2000) + "b",
		strings.Repeat("**a", 20) + "**b",
		strings.Repeat("**a", 1300) + "**b",
		"**" + strings.Repeat("a*", 2000) + "b",
		strings.Repeat("a*a**", 700) + "b",
		strings.Repeat("*?", 2000) + "b*",
		strings.Repeat("**/*", 1000) + "/b*",
		strings.Repeat("[ab]*", 800) + "c?",
		strings.Repeat("?", 2000) + "**" + strings.Repeat("?", 2000),
	} {
		g, ok := compileGlob(pattern)
		if !ok {
			t.Fatalf("%.20q does not compile", pattern)
		}
		for _, text := range []string{long, deep, long + "b", deep + "b"} {
			bound := (len(pattern) + 1) * (len(text) + 1)
			if _, steps := g.match(text); steps > bound {
				t.Errorf("match(%.20q..., %.10q...): %d steps, bound %d", pattern, text, steps, bound)
			}
			if _, steps := g.matchTail(text); steps > bound {
				t.Errorf("matchTail(%.20q..., %.10q...): %d steps, bound %d", pattern, text, steps, bound)
			}
		}
	}
}
