package rrserve_test

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

func TestFiles(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.lines > maxFileLines {
			t.Errorf("%s: %d lines, more than %d: is it still one thing?", s.path, s.lines, maxFileLines)
		}
		documented[s.dir()] = documented[s.dir()] || s.ast.Doc != nil
		for _, name := range undocumented(s.ast) {
			t.Errorf("%s: exported %s has no comment", s.path, name)
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// undocumented returns the exported functions, types, constants and variables
// of the file without a comment. Methods are left to the reviewer: most of
// those without a comment implement an interface.
func undocumented(f *ast.File) (names []string) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() && d.Doc == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if d.Doc == nil {
					names = append(names, undocumentedSpec(spec)...)
				}
			}
		}
	}
	return names
}

func undocumentedSpec(spec ast.Spec) (names []string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, id := range s.Names {
			if id.IsExported() && s.Doc == nil && s.Comment == nil {
				names = append(names, id.Name)
			}
		}
	}
	return names
}

// A fuzz target without seeds starts from nothing and finds nothing.
func TestFuzzSeeds(t *testing.T) {
	all := sources(t)
	seeders := map[string]bool{} // dir + name of functions that call Add on a *testing.F
	for _, s := range all {
		for _, fn := range fuzzFuncs(s) {
			if calls(fn, func(name string) bool { return strings.HasSuffix(name, ".Add") }) {
				seeders[s.dir()+" "+fn.Name.Name] = true
			}
		}
	}
	for _, s := range all {
		for _, fn := range fuzzFuncs(s) {
			name := fn.Name.Name
			if !strings.HasPrefix(name, "Fuzz") || seeders[s.dir()+" "+name] {
				continue
			}
			corpus, _ := filepath.Glob(filepath.Join(s.dir(), "testdata", "fuzz", name, "*"))
			viaHelper := calls(fn, func(callee string) bool { return seeders[s.dir()+" "+callee] })
			if len(corpus) == 0 && !viaHelper {
				t.Errorf("%s: %s has no seeds: call f.Add or commit testdata/fuzz/%s", s.path, name, name)
			}
		}
	}
}

// fuzz/run.sh runs what is in fuzz, and the table there says what that is. A
// target that gets another name leaves its seeds behind; they then belong to
// nobody.
func TestFuzzTable(t *testing.T) {
	table := map[string]bool{}
	for line := range strings.Lines(readFile(t, "fuzz/doc_test.go")) {
		if fields := strings.Fields(line); len(fields) > 2 && strings.HasPrefix(fields[1], "Fuzz") {
			table[fields[1]] = true
		}
	}
	targets := map[string]bool{}
	for _, s := range sources(t) {
		for _, fn := range fuzzFuncs(s) {
			if name := fn.Name.Name; strings.HasPrefix(name, "Fuzz") {
				targets[name] = true
				if s.dir() != "fuzz" {
					t.Errorf("%s: %s is not in fuzz, so fuzz/run.sh misses it", s.path, name)
				}
				if !table[name] {
					t.Errorf("%s: %s is not in the table of fuzz/doc_test.go", s.path, name)
				}
			}
		}
	}
	for name := range table {
		if !targets[name] {
			t.Errorf("fuzz/doc_test.go: there is no %s", name)
		}
	}
	seeds, _ := filepath.Glob("fuzz/testdata/fuzz/*")
	for _, dir := range seeds {
		if !targets[filepath.Base(dir)] {
			t.Errorf("%s: seeds of no target", dir)
		}
	}
}

// fuzzFuncs returns the functions of a test file that take a *testing.F.
func fuzzFuncs(s *source) (fns []*ast.FuncDecl) {
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Body == nil {
			continue
		}
		for _, p := range fn.Type.Params.List {
			if exprText(p.Type) == "*testing.F" {
				fns = append(fns, fn)
			}
		}
	}
	return fns
}

// calls reports whether fn calls a function with a name, as it is written
// there, that match accepts.
func calls(fn *ast.FuncDecl, match func(name string) bool) (found bool) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && match(exprText(call.Fun)) {
			found = true
		}
		return !found
	})
	return found
}

// exprText writes the identifiers, selectors and pointers of e.
func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + exprText(e.X)
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	}
	return ""
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLicence(t *testing.T) {
	text := readFile(t, "LICENSE")
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(text, want) {
			t.Errorf("LICENSE is not Apache-2.0: no %q", want)
		}
	}
}

var (
	fenceInfo  = regexp.MustCompile(`^(sh (main|backup|checkout|container|cluster)|(toml|conf) /[^ @]+(@backup)?|text|yaml)$`)
	makeTarget = regexp.MustCompile(`(?m)(?:^|&& |\$ )(?:sudo )?make ([a-z][a-z-]*)`)
	mdLink     = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notAnchor  = regexp.MustCompile(`[^a-z0-9_ -]`)
	repoPath   = regexp.MustCompile(`^(?:bench|cmd|docs|examples|fuzz|internal|packaging|test)/[^ ]*$`)
	rule       = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

func TestDocuments(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range rule.FindAllStringSubmatch(readFile(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	for _, name := range rrtest.Documents(t, ".") {
		text := readFile(t, name)
		for _, code := range rrtest.Code(text) {
			for _, m := range makeTarget.FindAllStringSubmatch(code, -1) {
				if !targets[m[1]] {
					t.Errorf("%s: the Makefile has no target %q", name, m[1])
				}
			}
			if found, _ := filepath.Glob(code); repoPath.MatchString(code) && len(found) == 0 {
				t.Errorf("%s: there is no %s", name, code)
			}
		}
	}
	for _, want := range []string{"make run", "make test"} {
		if !strings.Contains(readFile(t, "README.md"), want) {
			t.Errorf("README.md does not say %q", want)
		}
	}
	if !strings.Contains(readFile(t, ".ci/run"), "make test") {
		t.Error(".ci/run does not run the README's test command")
	}
}

// Each fenced block says where it belongs: test-docs runs it there.
func TestFences(t *testing.T) {
	for _, name := range rrtest.Documents(t, ".") {
		fences, _ := rrtest.Fences(readFile(t, name))
		for _, f := range fences {
			if info := strings.TrimSpace(f.Kind + " " + f.Arg); !fenceInfo.MatchString(info) {
				t.Errorf("%s:%d: a block marked %q; allowed is %v", name, f.Line-1, info, fenceInfo)
			}
		}
	}
}

// Links lead to files and headings that are there, and the README to every document.
func TestLinks(t *testing.T) {
	linked := map[string]bool{}
	for _, name := range rrtest.Documents(t, ".") {
		for _, m := range mdLink.FindAllStringSubmatch(readFile(t, name), -1) {
			target := name
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: broken link: %v", name, err)
			} else if m[2] != "" && !anchors(readFile(t, target))[m[2]] {
				t.Errorf("%s: broken link: %s has no heading #%s", name, target, m[2])
			}
			linked[name+" "+target] = true
		}
	}
	for _, name := range rrtest.Documents(t, ".") {
		if name != "README.md" && !linked["README.md "+name] {
			t.Errorf("README.md does not lead to %s", name)
		}
	}
}

// anchors are the names that a Markdown renderer gives to the headings.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	_, text = rrtest.Fences(text)
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		names[strings.ReplaceAll(notAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return names
}

var (
	refusalCode = regexp.MustCompile(`\bE-[A-Z]+\b`)
	codeRow     = regexp.MustCompile(`(?m)^\| (E-[A-Z]+) \|`)
	messageRow  = regexp.MustCompile("(?m)^\\| `([^`]+)`")
)

// docs/troubleshooting.md explains each code of a refusal, and the messages of the
// server that it names are in the program.
func TestTroubleshooting(t *testing.T) {
	var literals strings.Builder
	for _, s := range sources(t) {
		if s.helper() {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				literals.WriteString(lit.Value + "\n")
			}
			return true
		})
	}
	text := readFile(t, "docs/troubleshooting.md")
	explained := map[string]bool{}
	for _, row := range codeRow.FindAllStringSubmatch(text, -1) {
		explained[row[1]] = true
	}
	for _, code := range refusalCode.FindAllString(literals.String(), -1) {
		if !explained[code] {
			t.Errorf("docs/troubleshooting.md does not explain %s", code)
			explained[code] = true
		}
	}
	_, server, _ := strings.Cut(text, "\n## When the server does not start\n")
	rows := messageRow.FindAllStringSubmatch(server, -1)
	if len(rows) == 0 {
		t.Fatal("docs/troubleshooting.md names no message of the server")
	}
	for _, row := range rows {
		message, _, _ := strings.Cut(row[1], "...")
		if !strings.HasPrefix(message, "/") && !strings.Contains(literals.String(), strings.TrimSpace(message)) {
			t.Errorf("docs/troubleshooting.md: the program has no message %q", message)
		}
	}
}
