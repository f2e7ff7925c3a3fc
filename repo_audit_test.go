package rrserve_test

import (
	"go/ast"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	cveRow    = regexp.MustCompile(`(?m)^\| (?:CVE-|no number).*$`)
	cveID     = regexp.MustCompile(`^CVE-20(24|25|26)-[0-9]{4,6}$`)
	namedTest = regexp.MustCompile(`\b([a-z]+)\.((?:Test|Fuzz)\w+)`)
)

// TestThreatModel holds docs/threat-model.md to tests that exist: those it
// names anywhere, as packaging/audit.sh runs them, and at least one in each row
// of its tables of CVEs.
func TestThreatModel(t *testing.T) {
	text := readFile(t, "docs/threat-model.md")
	known := map[string]bool{}
	for _, s := range sources(t) {
		for _, name := range testFuncs(s) {
			known[shortPackage(s.dir())+"."+name] = true
		}
	}
	for _, m := range namedTest.FindAllString(text, -1) {
		if !known[m] {
			t.Errorf("there is no test %s", m)
		}
	}
	seen := map[string]bool{}
	for _, row := range cveRow.FindAllString(text, -1) {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 5 {
			t.Errorf("%d columns, want 5: %s", len(cells), row)
			continue
		}
		for _, id := range strings.Split(cells[0], ", ") {
			if strings.HasPrefix(cells[0], "no number") {
				break
			}
			if !cveID.MatchString(id) || seen[id] {
				t.Errorf("%s is none, or stands there twice", id)
			}
			seen[id] = true
		}
		if walls := []string{"types", "file system", "kernel", "nothing"}; !slices.Contains(walls, cells[3]) {
			t.Errorf("%s: %q is not one of %q", cells[0], cells[3], walls)
		}
		if !namedTest.MatchString(cells[4]) {
			t.Errorf("%s: no test shows it", cells[0])
		}
	}
	if len(seen) < 48 { // as many as there were in November 2026
		t.Errorf("%d CVEs", len(seen))
	}
}

// testFuncs returns the names of the tests and fuzz targets of a file. Those
// behind the build tag "long" are not run.
func testFuncs(s *source) (names []string) {
	if !s.test || strings.HasSuffix(s.path, "_long_test.go") {
		return nil
	}
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
			names = append(names, fn.Name.Name)
		}
	}
	return names
}

// shortPackage is how the threat model calls the package in a directory.
func shortPackage(dir string) string {
	switch dir {
	case ".":
		return "repo"
	case "cmd/rrserve":
		return "main"
	}
	return path.Base(dir)
}

// TestAuditJudges gives packaging/audit.sh reports of ssh-audit. One that it
// takes wrongly would make all of `make audit` worthless.
func TestAuditJudges(t *testing.T) {
	const fine = "(kex) curve25519-sha256 -- [info] available since OpenSSH 7.4\n" +
		"(kex) mlkem768x25519-sha256 -- [warn] unknown algorithm\n"
	for _, c := range []struct {
		name, report string
		ok           bool
	}{
		{"explained", fine, true},
		{"nothing", "", false},
		{"no connection", "[exception] cannot connect to 127.0.0.1 port 1\n", false},
		{"failure", fine + "(kex) diffie-hellman-group1-sha1 -- [fail] removed\n", false},
		{"warning", fine + "(enc) aes128-cbc -- [warn] using weak cipher mode\n", false},
		{"beneath another", fine + "(mac) hmac-sha1 -- [info] available\n                 `- [warn] using weak hashing algorithm\n", false},
		{"explained for another name", fine + "(kex) new -- [warn] unknown algorithm\n", false},
		{"explained and more", fine + "                 `- [fail] broken\n", false},
	} {
		cmd := exec.Command("packaging/audit.sh", "judge")
		cmd.Stdin = strings.NewReader(c.report)
		if out, err := cmd.CombinedOutput(); (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}
