package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/wire"
)

// filterNames are names to try rules on.
var filterNames = []string{"a", "a/b", "a/b/c.o", "a/.git", "[x]*", "b/\xff\n"}

func tryFilter(d *filter.Dir) {
	for _, name := range filterNames {
		d.Excluded(name, false)
		d.Excluded(name, true)
		d.ExcludedXattr(name)
	}
}

// filterWire returns rules, one per line, as they go over the wire.
func filterWire(rules string) []byte {
	var b []byte
	for rule := range strings.SplitSeq(rules, "\n") {
		b = append(b, filterRule(rule)...)
	}
	return binary.LittleEndian.AppendUint32(b, 0)
}

func filterRule(rule string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(rule))), rule...)
}

// FuzzFilterList feeds the filter list that a client sends.
func FuzzFilterList(f *testing.F) {
	for _, rules := range []string{
		"- a\n+ b/\n-! */\n-/s /a/**\n-C \n: .f\n:nw- .g\n:C .cvsignore\n: /.rsync-filter",
		"exclude,! a\nhide_b\nrisk c\nclear\n-x user.*\n!",
		"- a/***\n- **/b\n- a**b*c\n- [[:alpha:]]*\n- [!a-c]\\*\n+ /***/x/",
		"- [[:alnum:]]\n- [[:blank:]]\n- [[:cntrl:]]\n- [[:graph:]]\n- [[:lower:]]\n- [[:print:]]\n- [[:punct:]]\n- [[:space:]]\n- [[:upper:]]\n- [[:xdigit:]]\n- [[:digit:]]",
		"- [[:none:]]\n- a/b/***/c\n- */*/**\n- [\\]-a]\n- " + strings.Repeat("x", 4200),
		"S a\nR b\n-r c\n:+ d\n:e .f\n- [\\\\\n- [[:alpha\n- [a-\n- a/b*/c\n- x*y/z", "include a\nshow b\nprotect c\ndir-merge .f\nmerge .g\nperishable,p d", manyMerges(),
		"bogus", ". /etc/passwd", "-q a", "! x", "- ",
	} {
		f.Add(byte(31), filterWire(rules))
		f.Add(byte(28), filterWire(rules))
	}
	f.Add(byte(31), []byte{0xff, 0xff, 0xff, 0x7f})
	f.Add(byte(31), []byte{4, 0, 0, 0, '-'})
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		defer limits{256 << 10, 500}.hold(t, len(data))()
		v := wire.MinVersion + wire.Version(version)%(wire.MaxVersion-wire.MinVersion+1)
		// A name that the first rule hides stays hidden, whatever follows.
		r := wire.NewReader(io.MultiReader(bytes.NewReader(filterRule("- hidden")), bytes.NewReader(data)))
		l, err := filter.Read(r, v)
		var bad *filter.SyntaxError
		if err != nil {
			var bounds *wire.RangeError
			if !errors.As(err, &bad) && !errors.As(err, &bounds) && r.Err() == nil {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return
		}
		l.AddCVS()
		d, err := l.Top(&filterFiles{}, "/srv").Enter("a")
		if err != nil {
			t.Fatalf("without files: %v", err)
		}
		tryFilter(d)
		clears := bytes.Contains(data, []byte("!")) || bytes.Contains(data, []byte("clear"))
		if !clears && (!d.Excluded("a/hidden", false) || !d.Excluded("hidden", true)) {
			t.Error("the first rule does not hold")
		}
	})
}

// manyMerges is more dir-merge rules than may be in force.
func manyMerges() string {
	var b strings.Builder
	for i := range 257 {
		fmt.Fprintf(&b, ": .f%d\n", i)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// filterFiles serves one file under every name ending in f and another one
// under all others.
type filterFiles struct {
	f, other []byte
	reads    int
}

func (s *filterFiles) ReadFile(dir, name string) ([]byte, error) {
	s.reads++
	if !strings.HasPrefix(dir, "/") || strings.Contains(dir+"/", "/../") || name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		panic("a name that the Source is not to see: " + dir + ", " + name)
	}
	data := s.other
	if strings.HasSuffix(name, "f") {
		data = s.f
	}
	if data == nil {
		return nil, filter.ErrNoFile
	}
	return data, nil
}

// FuzzFilterFile feeds the per-directory files of a served tree.
func FuzzFilterFile(f *testing.F) {
	for _, rule := range []string{": .f", ":n .f", ":w .f", ":- .f", ":C .f", ":s/ .f", ": /.f", ": ../f"} {
		f.Add(rule, []byte("- /a\n+ b\n!\nP c\n# x\r\n. ./g\n: .g\n:e ../.h\n-C\n"), []byte("- b\n-/ /srv/a\n"))
		f.Add(rule, []byte("-_a !,x :C .C"), []byte("a ! b"))
		f.Add(rule, []byte(". ./.f\n. /f\n"), []byte("\x00"))
		f.Add(rule, []byte("\x00a"), []byte("\x00"))
	}
	f.Fuzz(func(t *testing.T, rule string, file, other []byte) {
		if len(rule) == 0 || len(rule) > 5119 || len(file) > filter.MaxFile || len(other) > filter.MaxFile {
			return
		}
		// A file may be read once for each rule in force, in six directories.
		defer limits{64 << 20, 1000}.hold(t, len(rule)+len(file)+len(other))()
		l, err := filter.Read(wire.NewReader(bytes.NewReader(append(filterRule("- hidden"), filterWire(rule)...))), 31)
		if err != nil {
			return
		}
		clears := strings.Contains(rule, "!") || strings.Contains(rule, "clear")
		files := &filterFiles{f: file, other: other}
		d := l.Top(files, "/srv/x")
		for _, name := range []string{"a", "a/b", "a/b/c"} {
			if d, err = d.Enter(name); err != nil {
				break
			}
			tryFilter(d)
			if !clears && !d.Excluded(name+"/hidden", false) {
				t.Errorf("a file has lifted the client's rule in %s", name)
			}
		}
		var bad *filter.SyntaxError
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("error of an unknown kind: %v", err)
		}
		// Every file read was named by a rule, of which there is a bound, or
		// by one of the rules in force in one of six directories.
		if bound := 65536 + 6*256; files.reads > bound {
			t.Fatalf("%d reads", files.reads)
		}
	})
}

// FuzzFilterMatch compares wildcards by what must hold for any pattern.
func FuzzFilterMatch(f *testing.F) {
	for _, c := range [][2]string{
		{"a*b", "axb"}, {"**/x*y", "q/x/xzy"}, {"a[!b-d]?", "aef"}, {`\*[[:alpha:]]`, "*a"},
		{"a*a*a*a*b", "aaaaaaaaaaaaa"}, {"**a**a*a**b", "a/a/a/a/a"}, {"[", "["}, {"[]-]", "-"}, {`\`, `\`},
	} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		defer limits{64 << 10, 200}.hold(t, len(pattern)+len(text))()
		if len(pattern) > 4096 || len(text) > 4096 {
			return
		}
		got := filter.Match(pattern, text)
		if !strings.ContainsAny(pattern, `*?[\`) && got != (pattern == text) {
			t.Errorf("Match(%q, %q) = %t", pattern, text, got)
		}
		if !got {
			return
		}
		if !filter.Match("x"+pattern, "x"+text) {
			t.Errorf("%q matches %q, but not with a byte before both", pattern, text)
		}
		if pattern != "" && pattern[0] != '*' && !filter.Match("**"+pattern, "y/z"+text) {
			t.Errorf("%q matches %q, but not after **", pattern, text)
		}
		var escaped strings.Builder
		for i := range len(text) {
			escaped.WriteByte('\\')
			escaped.WriteByte(text[i])
		}
		if !filter.Match(escaped.String(), text) {
			t.Errorf("%q does not match itself when escaped", text)
		}
	})
}
