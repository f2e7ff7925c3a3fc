package filter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

// encode returns the list as a client sends it.
func encode(rules ...string) []byte {
	var b []byte
	for _, rule := range rules {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(rule)))
		b = append(b, rule...)
	}
	return binary.LittleEndian.AppendUint32(b, 0)
}

func read(v wire.Version, rules ...string) (*List, error) {
	return Read(wire.NewReader(bytes.NewReader(encode(rules...))), v)
}

func TestReadStopsAtTheEndOfTheList(t *testing.T) {
	r := wire.NewReader(io.MultiReader(bytes.NewReader(encode("- a")), strings.NewReader("next")))
	l, err := Read(r, 31)
	if err != nil {
		t.Fatal(err)
	}
	if top := l.Top(nil, "/"); !top.Excluded("a", false) || top.Excluded("b", false) {
		t.Error("the rule does not act")
	}
	if got := string(r.Bytes("rest", 4, 4)); got != "next" {
		t.Errorf("left in the stream: %q", got)
	}
}

func TestReadBounds(t *testing.T) {
	many := make([]string, maxRules+1)
	for i := range many {
		many[i] = "- a"
	}
	large := make([]string, maxBytes/maxRule+1)
	for i := range large {
		large[i] = "- " + strings.Repeat("a", maxRule-2)
	}
	cvs := make([]string, maxRules/36+2)
	for i := range cvs {
		cvs[i] = "-C "
	}
	for name, rules := range map[string][]string{
		"rules":        many,
		"bytes":        large,
		"rules of -C":  cvs,
		"long rule":    {"- " + strings.Repeat("a", maxRule-1)},
		"rules, clear": append([]string{"!"}, many...),
	} {
		_, err := read(31, rules...)
		var re *wire.RangeError
		if !errors.As(err, &re) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := read(31, many[:maxRules]...); err != nil {
		t.Errorf("%d rules: %v", maxRules, err)
	}
	for name, in := range map[string][]byte{
		"negative length": {0xff, 0xff, 0xff, 0xff},
		"end in a length": {3, 0},
		"end in a rule":   {3, 0, 0, 0, '-'},
		"no end":          encode("- a")[:7],
	} {
		if _, err := Read(wire.NewReader(bytes.NewReader(in)), 31); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The texts are those of rsync 3.5.0, which was given the same rules, except
// for the merge rules, that it would open.
func TestReadSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		version wire.Version
		rule    string
		want    string
	}{
		{29, "bogus", "Unknown filter rule: bogus"},
		{29, " - x", "Unknown filter rule:  - x"},
		{29, "# x", "Unknown filter rule: # x"},
		{29, "excludea", "Unknown filter rule: excludea"},
		{29, "h x", "Unknown filter rule: h x"},
		{29, "-q a", "invalid modifier 'q' at position 1 in filter rule: -q a"},
		{29, "-foo", "invalid modifier 'f' at position 1 in filter rule: -foo"},
		{29, "-\xe9", "invalid modifier '\xe9' at position 1 in filter rule: -\xe9"},
		{29, "-,foo", "invalid modifier 'f' at position 2 in filter rule: -,foo"},
		{29, "Hide x", "invalid modifier 'i' at position 1 in filter rule: Hide x"},
		{29, "exclude,a", "invalid modifier 'a' at position 8 in filter rule: exclude,a"},
		{29, "exclude\tx", "invalid modifier '\t' at position 7 in filter rule: exclude\tx"},
		{29, "hide,sx", "invalid modifier 's' at position 5 in filter rule: hide,sx"},
		{29, "Hs x", "invalid modifier 's' at position 1 in filter rule: Hs x"},
		{29, "Pr x", "invalid modifier 'r' at position 1 in filter rule: Pr x"},
		{29, "HC x", "invalid modifier 'C' at position 1 in filter rule: HC x"},
		{29, "-n x", "invalid modifier 'n' at position 1 in filter rule: -n x"},
		{29, "-e x", "invalid modifier 'e' at position 1 in filter rule: -e x"},
		{29, "-w x", "invalid modifier 'w' at position 1 in filter rule: -w x"},
		{29, "-- x", "invalid modifier '-' at position 1 in filter rule: -- x"},
		{29, "-Ce ", "invalid modifier 'e' at position 2 in filter rule: -Ce "},
		{29, ":CC .x", "invalid modifier 'C' at position 2 in filter rule: :CC .x"},
		{29, ":-C .x", "invalid modifier 'C' at position 2 in filter rule: :-C .x"},
		{29, ":C- .x", "invalid modifier '-' at position 2 in filter rule: :C- .x"},
		{29, ":-+ .x", "invalid modifier '+' at position 2 in filter rule: :-+ .x"},
		{29, ":! .x", "invalid modifier '!' at position 1 in filter rule: :! .x"},
		{29, "-", "unexpected end of filter rule: -"},
		{29, "- ", "unexpected end of filter rule: - "},
		{29, "exclude", "unexpected end of filter rule: exclude"},
		{29, ": ", "unexpected end of filter rule: : "},
		{29, "! ", "'!' rule has trailing characters: ! "},
		{29, "!x", "'!' rule has trailing characters: !x"},
		{29, "clear_", "'!' rule has trailing characters: clear_"},
		{29, "- \x00a", "unexpected end of filter rule: - "},
		{28, "- ", "unexpected end of filter rule: - "},
		{28, "+ ", "unexpected end of filter rule: + "},
		{29, ". x", "merge rules are not accepted from a client: . x"},
		{29, "merge,e x", "merge rules are not accepted from a client: merge,e x"},
		{29, "q" + strings.Repeat("x", 5000), "Unknown filter rule: q" + strings.Repeat("x", maxQuote-1)},
	} {
		_, err := read(c.version, c.rule)
		var se *SyntaxError
		if !errors.As(err, &se) || se.Error() != c.want {
			t.Errorf("protocol %d, %.40q: %v", c.version, c.rule, err)
		}
	}
}

func TestReadRules(t *testing.T) {
	for _, c := range []struct {
		version wire.Version
		rules   []string
		want    string // names left out of those below
	}{
		{29, []string{"-,! */"}, "a b x.o core"},
		{29, []string{"exclude a", "hide_b", "+ x", "- x"}, "a b"},
		{29, []string{"show a", "protect a", "risk b", "P b", "- d/"}, "d"},
		{29, []string{"include,_a", "exclude, b", "- *"}, "b x.o core d"},
		{29, []string{"-sr a", "-r b", "-p d"}, "a b d"},
		{29, []string{"-/! /d"}, "a b x.o core"},
		{29, []string{"-//!! /d"}, "a b x.o core"},
		{29, []string{"- a", "!", "- b"}, "b"},
		{29, []string{"- a", "clear,", "- b"}, "b"},
		{29, []string{"-C "}, "x.o core"},
		{29, []string{"-C"}, "x.o core"},
		{29, []string{"-Cs b"}, "x.o core"},
		{29, []string{"+C ", "- *"}, "a b d"},
		{29, []string{"-!C "}, "a b x.o core d"},
		{29, []string{"-x *", "- a"}, "a"},
		{29, []string{"- " + strings.Repeat("*", 4095)}, "a b x.o core d"},
		{29, []string{"- " + strings.Repeat("*", 4096)}, ""},
		{29, []string{"- a\x00b"}, "a"},
		{29, []string{"-  a"}, ""},
		{29, []string{"\x00- a"}, ""},
		{28, []string{"a", "+ b", "- b", "- x.o"}, "a x.o"},
		{28, []string{"a", "!", "b"}, "b"},
		{28, []string{"!foo", "-a", "! ", "-  b", "# d", ": a", "+"}, ""},
		{28, []string{"+ a", "*"}, "b x.o core d"},
		{27, []string{"/a", "*.o"}, "a x.o"},
	} {
		l, err := read(c.version, c.rules...)
		if err != nil {
			t.Errorf("%.40q: %v", c.rules, err)
			continue
		}
		var out []string
		for _, name := range []string{"a", "b", "x.o", "core", "d"} {
			if l.Top(nil, "/").Excluded(name, name == "d") {
				out = append(out, name)
			}
		}
		if got := strings.Join(out, " "); got != c.want {
			t.Errorf("protocol %d, %.40q: left out %q, want %q", c.version, c.rules, got, c.want)
		}
	}
}

func TestDiscarded(t *testing.T) {
	l, err := read(31, "- "+strings.Repeat("a", maxPattern), "- b")
	if err != nil || l.Discarded() != 1 {
		t.Errorf("%d discarded, %v", l.Discarded(), err)
	}
}

func TestXattrRules(t *testing.T) {
	src := newMemory(map[string]string{"s/.f": "-x user.c\n"}, nil)
	l, err := read(31, "+x user.a", "-x user.*", "- a", ": .f")
	if err != nil {
		t.Fatal(err)
	}
	top := l.Top(src, home)
	for name, want := range map[string]bool{"user.a": false, "user.b": true, "a": false, "system.x": false} {
		if got := top.ExcludedXattr(name); got != want {
			t.Errorf("ExcludedXattr(%q) = %t", name, got)
		}
	}
	if !top.HasXattrRules() || top.Excluded("user.b", false) {
		t.Error("x rules are not kept apart")
	}
	l, err = read(31, ": .f")
	if err != nil {
		t.Fatal(err)
	}
	top = l.Top(src, home)
	in, err := top.Enter("s")
	if err != nil {
		t.Fatal(err)
	}
	if top.HasXattrRules() || !in.HasXattrRules() || !in.ExcludedXattr("user.c") {
		t.Error("the x rule of a per-directory file does not act where it is")
	}
}
