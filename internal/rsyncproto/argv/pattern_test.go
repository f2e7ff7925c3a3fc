package argv

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func wildmatch(glob, name string) bool {
	p, ok := wildPattern(glob)
	return ok && p.match(name)
}

// testdata/wildmatch.tsv holds answers of rsync 3.5.0: pattern, name, match.
func TestWildmatch(t *testing.T) {
	data, err := os.ReadFile("testdata/wildmatch.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) < 500 {
		t.Fatalf("only %d cases", len(lines))
	}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if got := wildmatch(f[0], f[1]); got != (f[2] == "1") {
			t.Errorf("%q against %q: %t", f[0], f[1], got)
		}
	}
}

func TestWildmatchMalformed(t *testing.T) {
	tests := []struct {
		glob, name string
		want       bool
	}{
		{`a*\`, `a\`, false},
		{`[a`, "[a", false},
		{`[`, "[", false},
		{`[a\`, "a", false},
		{`[a-\`, "a", false},
		{`[a-`, "a", false},
		{`[[:nope:]x]`, "x", false},
		{`[[:alpha]x]`, ":x]", true},
		{`[[:`, ":", false},
		{`[]-a]`, "^", true},
		{`[a-c-e]`, "d", false},
		{`[a-c-e]`, "-", true},
		{`[[:digit:]-z]`, "-", true},
		{`[[:digit:]-z]`, "5", true},
		{`[\]]`, "]", true},
		{`[a\-c]`, "b", false},
		{`[a-\c]`, "b", true},
		{`[!]a]`, "b", true},
		{`[^!]`, "!", false},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{"", "", true},
		{"*", "", true},
		{"?", "", false},
	}
	for _, test := range tests {
		if got := wildmatch(test.glob, test.name); got != test.want {
			t.Errorf("%q against %q: %t", test.glob, test.name, got)
		}
	}
}

// naive tries everything.
func naive(p pattern, name string) bool {
	switch {
	case len(p) == 0:
		return name == ""
	case p[0].star:
		return naive(p[1:], name) || name != "" && naive(p, name[1:])
	}
	return name != "" && p[0].set.has(name[0]) && naive(p[1:], name[1:])
}

func TestMatchAgainstNaive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	text := func(alphabet string, n int) string {
		b := make([]byte, random.IntN(n))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	matches := 0
	for range 50000 {
		glob, name := text("ab*?[]", 9), text("ab", 10)
		p, ok := wildPattern(glob)
		if !ok {
			continue
		}
		want := naive(p, name)
		if got := p.match(name); got != want {
			t.Fatalf("%q against %q: %t", glob, name, got)
		}
		if want {
			matches++
		}
	}
	if matches < 1000 {
		t.Errorf("only %d matches", matches)
	}
}

// Patterns that make a backtracking matcher exponential: 20,000 stars against
// names of 255 bytes, which would not end.
func TestMatchIsNotExponential(t *testing.T) {
	p, _ := wildPattern(strings.Repeat("*a", 120) + "b")
	name := strings.Repeat("a", 255)
	for range 100 {
		if p.match(name) {
			t.Fatal("it matches")
		}
	}
	if p, _ := wildPattern(strings.Repeat("*", 20000)); len(p) != 1 {
		t.Errorf("%d elements for one run of stars", len(p))
	}
}
