package rrtest

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Documents are the texts below root, the root of the repository, whose commands,
// links and options are held to be true, by their names from there.
func Documents(t testing.TB, root string) []string {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "NEWS.md"}
	for _, pattern := range []string{"docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	return names
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// Code returns the fenced blocks of a document, and then its code spans.
func Code(document string) (code []string) {
	fences, rest := Fences(document)
	for _, f := range fences {
		code = append(code, f.Text)
	}
	for _, m := range codeSpan.FindAllStringSubmatch(rest, -1) {
		code = append(code, m[1])
	}
	return code
}

// Fence is a fenced block of a Markdown document.
type Fence struct {
	Line int    // of the first line of Text in the document, from 1
	Kind string // first word of the info string: sh, toml, text, ...
	Arg  string // the rest of it: where a command runs, what a file is called
	Text string // without the indentation of the fence
}

// Fences returns the fenced blocks of a document, and the document with empty lines in
// their place. A fence that does not end is one up to the end.
func Fences(document string) (fences []Fence, rest string) {
	var open *Fence
	var indent string
	var outside strings.Builder
	n := 0
	for line := range strings.Lines(document) {
		n++
		text := strings.TrimLeft(line, " ")
		info, mark := strings.CutPrefix(text, "```")
		switch {
		case mark && open == nil:
			kind, arg, _ := strings.Cut(strings.TrimSpace(info), " ")
			open = &Fence{Line: n + 1, Kind: kind, Arg: arg}
			indent = strings.TrimSuffix(line, text)
		case mark:
			fences = append(fences, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent)
		default:
			outside.WriteString(line)
			continue
		}
		outside.WriteString("\n")
	}
	if open != nil {
		fences = append(fences, *open)
	}
	return fences, outside.String()
}
