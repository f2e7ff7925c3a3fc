// Package rrserve_test holds the rules of the repository as a whole: which
// package may import which, what the binary must not contain, and what every
// package, fuzz target and document owes its reader.
//
// The import rules are also in .golangci.yml, for editors; that part is made
// from the table here:
//
//	go test -run TestLintConfig -update .
package rrserve_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the import rules in .golangci.yml")

const (
	module       = "rrserve"
	maxModules   = 12  // direct modules in the binary: what somebody has to trust
	maxFileLines = 700 // of a file that is not a test
)

// importRule says what the code of some packages must not import. As in
// depguard, a path in deny or allow also stands for everything that begins with
// it, unless it ends in "$"; the longest match wins. Tests are exempt.
type importRule struct {
	name   string
	in     []string // directories; "/..." at the end includes those below
	except []string
	deny   []string
	allow  []string
	why    string
}

// helpers never reach the binary: they start programs, build trees, measure.
var helpers = []string{
	"bench/...", "examples/...", "fuzz/...", "packaging/...", "test/...",
	"internal/rrtest/...", "internal/rsyncproto/token/tokentest/...", "internal/vfs/vfstest/...",
}

var importRules = []importRule{
	{
		name:  "engine",
		in:    []string{"internal/rsyncproto/..."},
		deny:  []string{"os", "syscall", "net", "plugin", "path/filepath", "io/ioutil", "golang.org/x/sys", "golang.org/x/crypto/ssh", "github.com/spf13/afero", "rrserve/"},
		allow: []string{"rrserve/internal/rsyncproto", "rrserve/internal/vfs$"},
		why:   "The engine reads what strangers send. All it can ask for is a vfs.FS; it has no way to name a file, a socket or a process.",
	},
	{
		name: "wire",
		in:   []string{"internal/rsyncproto/wire"},
		deny: []string{"rrserve/", "log", "context"},
		why:  "The lowest layer: bytes in, values out.",
	},
	{
		name:  "codec",
		in:    []string{"internal/rsyncproto/acl", "internal/rsyncproto/charset", "internal/rsyncproto/checksum", "internal/rsyncproto/filter", "internal/rsyncproto/token"},
		deny:  []string{"rrserve/", "log", "context", "time"},
		allow: []string{"rrserve/internal/rsyncproto/wire$"},
		why:   "Codecs are leaves. They return errors, their caller logs; no clock and no connection, so that the same bytes give the same result.",
	},
	{
		name:  "argv",
		in:    []string{"internal/rsyncproto/argv"},
		deny:  []string{"rrserve/", "log", "context", "time"},
		allow: []string{"rrserve/internal/rsyncproto/wire$", "rrserve/internal/vfs$"},
		why:   "The parser of command lines is a leaf too; wildcards look into the served tree, and only there.",
	},
	{
		name:  "delta",
		in:    []string{"internal/rsyncproto/delta"},
		deny:  []string{"rrserve/", "log", "context"},
		allow: []string{"rrserve/internal/rsyncproto/checksum$", "rrserve/internal/rsyncproto/token$", "rrserve/internal/rsyncproto/wire$"},
		why:   "The search compares bytes with sums; it does not know where the bytes come from.",
	},
	{
		name:  "flist",
		in:    []string{"internal/rsyncproto/flist"},
		deny:  []string{"rrserve/"},
		allow: []string{"rrserve/internal/rsyncproto/acl$", "rrserve/internal/rsyncproto/wire$", "rrserve/internal/rsyncproto/filter$", "rrserve/internal/vfs$"},
		why:   "The file list walks a vfs.FS, asks the filter and writes entries.",
	},
	{
		name:  "sumcache",
		in:    []string{"internal/sumcache"},
		deny:  []string{"rrserve/"},
		allow: []string{"rrserve/internal/rsyncproto/checksum$"},
		why:   "The cache knows what a checksum is of, not who asks for it.",
	},
	{
		name: "sshsrv",
		in:   []string{"internal/sshsrv/..."},
		deny: []string{"rrserve/", "github.com/spf13/afero"},
		why:  "The SSH side hands over a command line and a stream. It knows neither rsync nor files.",
	},
	{
		name: "vfs",
		in:   []string{"internal/vfs"},
		deny: []string{"rrserve/"},
		why:  "The read-only view is the lowest thing that everybody agrees on.",
	},
	{
		name: "jail",
		in:   []string{"internal/jail/..."},
		deny: []string{"rrserve/", "net"},
		why:  "The jail opens files beneath one directory and knows nobody who might ask it for more.",
	},
	{
		name:   "system",
		in:     []string{"..."},
		except: append([]string{"cmd/...", "internal/jail/...", "internal/snapshot"}, helpers...),
		deny:   []string{"os", "syscall", "golang.org/x/sys", "path/filepath", "io/ioutil"},
		why:    "Files are opened by internal/jail, state and configuration by cmd, snapshot commands run by internal/snapshot; nobody else talks to the operating system.",
	},
	{
		name:   "exec",
		in:     []string{"..."},
		except: append([]string{"internal/snapshot"}, helpers...),
		deny:   []string{"os/exec", "plugin"},
		why:    "The server starts no program, so there is no command line to inject into. Snapshot commands are run by a process of their own, which knows them all beforehand.",
	},
	{
		name:   "afero",
		in:     []string{"..."},
		except: append([]string{"cmd/...", "internal/jail/...", "internal/vfs"}, helpers...),
		deny:   []string{"github.com/spf13/afero"},
		why:    "afero's Fs has methods that write; it stops at vfs.FromAfero.",
	},
	{
		name:   "bbolt",
		in:     []string{"..."},
		except: append([]string{"internal/sumcache"}, helpers...),
		deny:   []string{"go.etcd.io/bbolt"},
		why:    "It opens a file for writing; there is one such file, and one package for it.",
	},
	{
		name:   "testonly",
		in:     []string{"..."},
		except: helpers,
		deny:   []string{"testing", "rrserve/bench", "rrserve/fuzz", "rrserve/internal/rrtest", "rrserve/internal/rsyncproto/token/tokentest", "rrserve/internal/vfs/vfstest", "rrserve/packaging", "rrserve/test", "github.com/google/go-cmp", "github.com/hanwen/go-fuse", "github.com/rogpeppe/go-internal"},
		why:    "What tests need stays out of the binary.",
	},
	{
		name:   "client",
		in:     []string{"..."},
		except: append([]string{"cmd/rrserve"}, helpers...),
		deny:   []string{"github.com/gokrazy/rsync"},
		why:    "A client writes files. Only rrserve check is one, in a process that serves nobody.",
	},
	{
		name:   "log",
		in:     []string{"..."},
		except: helpers,
		deny:   []string{"log$"},
		why:    "log/slog, passed in: constant messages, what a peer chose only as attribute values.",
	},
}

// source is one Go file of the module.
type source struct {
	path  string // slash-separated, relative to the module
	test  bool
	lines int
	ast   *ast.File
	fset  *token.FileSet
}

func (s *source) dir() string           { return path.Dir(s.path) }
func (s *source) pos(n ast.Node) string { return s.fset.Position(n.Pos()).String() }
func (s *source) helper() bool          { return s.test || inAny(s.dir(), helpers) }

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser has accepted it
	}
	return p
}

// sources parses every Go file of the module, for every platform and build tag.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && skipDir(name):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		s, err := parseSource(name)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

// skipDir reports whether name is left out by the go command too.
func skipDir(name string) bool {
	base := filepath.Base(name)
	if base == "testdata" || base == "bin" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func parseSource(name string) (*source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{
		path:  filepath.ToSlash(name),
		test:  strings.HasSuffix(name, "_test.go"),
		lines: strings.Count(string(text), "\n"),
		ast:   file,
		fset:  fset,
	}, err
}

// inAny reports whether dir is one of the patterns' directories.
func inAny(dir string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		base, below := strings.CutSuffix(p, "...")
		if !below {
			return dir == p
		}
		return strings.HasPrefix(dir+"/", base)
	})
}

// longest returns the length of the longest pattern that imp matches, -1 for none.
func longest(imp string, patterns []string) int {
	best := -1
	for _, p := range patterns {
		exact, isExact := strings.CutSuffix(p, "$")
		if imp == exact || !isExact && strings.HasPrefix(imp, p) {
			best = max(best, len(exact))
		}
	}
	return best
}

// allows reports whether code in dir may import imp.
func (r *importRule) allows(dir, imp string) bool {
	if !inAny(dir, r.in) || inAny(dir, r.except) {
		return true
	}
	return longest(imp, r.deny) <= longest(imp, r.allow)
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.ast.Imports {
			imp := importPath(spec)
			if imp == "C" {
				t.Errorf("%s: cgo: the binary is static", s.pos(spec))
			}
			if s.test {
				continue
			}
			for _, r := range importRules {
				if !r.allows(s.dir(), imp) {
					t.Errorf("%s: rule %s: %s must not import %s\n%s", s.pos(spec), r.name, s.dir(), imp, r.why)
				}
			}
		}
	}
}

// The rules themselves, so that a slip in a pattern does not pass for peace.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		rule, dir, imp string
		want           bool
	}{
		{"engine", "internal/rsyncproto", "os", false},
		{"engine", "internal/rsyncproto/flist", "os/user", false},
		{"engine", "internal/rsyncproto/flist", "golang.org/x/sys/unix", false},
		{"engine", "internal/rsyncproto", "rrserve/internal/sshsrv", false},
		{"engine", "internal/rsyncproto", "rrserve/internal/vfs/vfstest", false},
		{"engine", "internal/rsyncproto", "rrserve/internal/vfs", true},
		{"engine", "internal/rsyncproto", "rrserve/internal/rsyncproto/wire", true},
		{"engine", "internal/rsyncproto", "io/fs", true},
		{"engine", "internal/jail", "os", true},
		{"codec", "internal/rsyncproto/filter", "rrserve/internal/rsyncproto/wire", true},
		{"codec", "internal/rsyncproto/filter", "rrserve/internal/vfs", false},
		{"argv", "internal/rsyncproto/argv", "rrserve/internal/rsyncproto/filter", false},
		{"codec", "internal/rsyncproto/token", "log/slog", false},
		{"sumcache", "internal/sumcache", "rrserve/internal/rsyncproto", false},
		{"bbolt", "internal/rsyncproto", "go.etcd.io/bbolt", false},
		{"bbolt", "internal/sumcache", "go.etcd.io/bbolt/errors", true},
		{"sshsrv", "internal/sshsrv", "rrserve/internal/rsyncproto", false},
		{"system", "internal/sshsrv", "os", false},
		{"system", "internal/jail", "os", true},
		{"system", "cmd/rrserve", "os", true},
		{"system", "bench", "os", true},
		{"exec", "cmd/rrserve", "os/exec", false},
		{"exec", "test/differential", "os/exec", true},
		{"afero", "internal/vfs", "github.com/spf13/afero", true},
		{"afero", "internal/vfs/other", "github.com/spf13/afero/mem", false},
		{"testonly", "internal/jail", "rrserve/internal/rrtest", false},
		{"log", "internal/sshsrv", "log", false},
		{"log", "internal/sshsrv", "log/slog", true},
	} {
		i := slices.IndexFunc(importRules, func(r importRule) bool { return r.name == c.rule })
		if i < 0 {
			t.Fatalf("no rule %s", c.rule)
		}
		if got := importRules[i].allows(c.dir, c.imp); got != c.want {
			t.Errorf("rule %s: %s imports %s: allowed %v, want %v", c.rule, c.dir, c.imp, got, c.want)
		}
	}
}

// forbiddenCalls are functions that an import rule cannot keep out. Test files
// are exempt only from the rules that say so.
var forbiddenCalls = []struct {
	in, except []string
	tests      bool
	pkg        string // import path
	names      []string
	why        string
}{
	{
		// The exception shows what happens with it, and that Landlock holds then.
		in: []string{"..."}, except: []string{"internal/rrtest/onewall"}, tests: true, pkg: "github.com/spf13/afero",
		names: []string{"OsFs", "NewOsFs"},
		why:   "the whole machine's file system, with writing: BasePathFs above it is not a jail",
	},
	{
		in: []string{"..."}, except: helpers, pkg: "os",
		names: []string{"StartProcess", "DirFS"},
		why:   "the server starts no program and follows no link by itself",
	},
	{
		in: []string{"..."}, except: helpers, pkg: "syscall",
		names: []string{"Exec", "ForkExec", "StartProcess", "CreateProcess"},
		why:   "the server starts no program",
	},
	{
		in: []string{"..."}, except: helpers, pkg: "golang.org/x/sys/unix",
		names: []string{"Exec", "Ptrace", "Mount", "Chroot"},
		why:   "the server starts no program",
	},
	{
		// An import of the client of rrserve check puts net/http/pprof there.
		in: []string{"..."}, except: helpers, pkg: "net/http",
		names: []string{"DefaultServeMux", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS"},
		why:   "whatever any package has registered would be served",
	},
	{
		in: []string{"internal/jail/..."}, pkg: "os",
		names: []string{"Chmod", "Chown", "Chtimes", "CopyFS", "Create", "CreateTemp", "Lchown", "Link", "Mkdir", "MkdirAll",
			"MkdirTemp", "OpenFile", "Remove", "RemoveAll", "Rename", "Symlink", "Truncate", "WriteFile"},
		why: "there is no code behind the jail that changes a file",
	},
	{in: []string{"internal/jail/..."}, pkg: "syscall", names: writingSyscalls, why: "there is no code behind the jail that changes a file"},
	{in: []string{"internal/jail/..."}, pkg: "golang.org/x/sys/unix", names: writingSyscalls, why: "there is no code behind the jail that changes a file"},
}

var writingSyscalls = []string{
	"Chmod", "Chown", "CopyFileRange", "Creat", "Fallocate", "Fchmod", "Fchmodat", "Fchown", "Fchownat", "Fremovexattr",
	"Fsetxattr", "Ftruncate", "Futimes", "Futimesat", "Lchown", "Lremovexattr", "Lsetxattr", "Link", "Linkat", "Lutimes", "Mkdir", "Mkdirat",
	"Mkfifo", "Mkfifoat", "Mknod", "Mknodat", "Pwrite", "Pwritev", "Pwritev2", "Removexattr", "Rename", "Renameat", "Renameat2", "Rmdir",
	"Setxattr", "Symlink", "Symlinkat", "Truncate", "Unlink", "Unlinkat", "Utime", "Utimes", "UtimesNanoAt", "Write", "Writev",
}

func TestForbiddenCalls(t *testing.T) {
	for _, s := range sources(t) {
		names := importNames(s)
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, c := range forbiddenCalls {
				if (!s.test || c.tests) && names[id.Name] == c.pkg && slices.Contains(c.names, sel.Sel.Name) &&
					inAny(s.dir(), c.in) && !inAny(s.dir(), c.except) {
					t.Errorf("%s: %s.%s: %s", s.pos(sel), id.Name, sel.Sel.Name, c.why)
				}
			}
			return true
		})
	}
}

// importNames maps the names that a file uses for packages to their paths.
func importNames(s *source) map[string]string {
	names := map[string]string{}
	for _, spec := range s.ast.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

// A test whose tools are missing fails; a skip is a hole that nobody sees.
func TestNoSkips(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if ok && slices.Contains([]string{"t", "b", "f", "tb"}, id.Name) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				t.Errorf("%s: %s.%s: a test whose tools are missing fails", s.pos(sel), id.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	CgoFiles   []string
	Imports    []string
	Module     *struct{ Path string }
}

// binaryPackages lists what the binary is made of: our packages without the
// helpers, and everything that they import.
func binaryPackages(t *testing.T) map[string]listed {
	t.Helper()
	dirs := map[string]bool{}
	args := []string{"list", "-buildvcs=false", "-deps", "-json=ImportPath,Standard,CgoFiles,Imports,Module"}
	for _, s := range sources(t) {
		if !s.helper() && !dirs[s.dir()] {
			dirs[s.dir()] = true
			args = append(args, "./"+s.dir())
		}
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	pkgs := map[string]listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs[p.ImportPath] = p
	}
}

func TestBinary(t *testing.T) {
	pkgs := binaryPackages(t)
	for _, name := range []string{"plugin", "runtime/cgo", "testing", "net/http/cgi"} {
		if _, ok := pkgs[name]; ok {
			t.Errorf("the binary contains %s, imported by %v", name, importersOf(pkgs, name))
		}
	}
	// The client of rrserve check could start a server, and is not asked to.
	if by := importersOf(pkgs, "os/exec"); !slices.Equal(by, []string{"github.com/gokrazy/rsync/internal/maincmd", "rrserve/internal/snapshot"}) {
		t.Errorf("os/exec is imported by %v; allowed is the broker of internal/snapshot, a process that no peer speaks to", by)
	}
	for name, p := range pkgs {
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo", name)
		}
	}
}

// What an import brings in and nothing calls, the linker leaves out: without the
// broker of internal/snapshot there is no code in the binary that starts a program.
func TestNothingStartsAProgram(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "rrserve")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-tags", "nosnapshot", "-o", bin, "./cmd/rrserve")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("go", "tool", "nm", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	symbols := string(out)
	if !strings.Contains(symbols, " main.main\n") {
		t.Fatal("the binary has no symbols to look at")
	}
	for _, name := range []string{"os/exec.", "os.StartProcess", "syscall.forkExec", "syscall.forkAndExecInChild", "syscall.Exec\n", "unix.Exec\n"} {
		if i := strings.Index(symbols, name); i >= 0 {
			t.Errorf("the binary contains %s", symbols[i:i+strings.IndexByte(symbols[i:], '\n')])
		}
	}
}

func importersOf(pkgs map[string]listed, name string) (by []string) {
	for _, p := range pkgs {
		if slices.Contains(p.Imports, name) {
			by = append(by, p.ImportPath)
		}
	}
	slices.Sort(by)
	return by
}

func TestModuleBudget(t *testing.T) {
	pkgs := binaryPackages(t)
	direct := map[string]bool{}
	for _, p := range pkgs {
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		for _, imp := range p.Imports {
			if dep := pkgs[imp]; dep.Module != nil && dep.Module.Path != module {
				direct[trusted(dep.Module.Path)] = true
			}
		}
	}
	if len(direct) > maxModules {
		t.Errorf("the binary uses %d modules directly, more than %d: %v", len(direct), maxModules, direct)
	}
}

// trusted is whom somebody trusts who uses the module: those of the Go project
// count as one, and so do those of the keepers of cobra, pflag and afero.
func trusted(path string) string {
	for _, keepers := range []string{"golang.org/x/", "github.com/spf13/"} {
		if strings.HasPrefix(path, keepers) {
			return keepers
		}
	}
	return path
}

const (
	rulesBegin = "        # The rules below are made from repo_test.go; see TestLintConfig.\n"
	rulesEnd   = "        # End of the rules from repo_test.go.\n"
)

// TestLintConfig holds .golangci.yml to the rules of this file.
func TestLintConfig(t *testing.T) {
	text := readFile(t, ".golangci.yml")
	before, rest, ok1 := strings.Cut(text, rulesBegin)
	old, after, ok2 := strings.Cut(rest, rulesEnd)
	if !ok1 || !ok2 {
		t.Fatal(".golangci.yml has lost its markers")
	}
	var b strings.Builder
	for _, r := range importRules {
		r.writeYAML(&b)
	}
	if old == b.String() {
		return
	}
	if !*update {
		t.Fatal(".golangci.yml differs from the rules of repo_test.go: go test -run TestLintConfig -update .")
	}
	if err := os.WriteFile(".golangci.yml", []byte(before+rulesBegin+b.String()+rulesEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeYAML writes the rule as depguard reads it.
func (r *importRule) writeYAML(b *strings.Builder) {
	fmt.Fprintf(b, "        %s:\n          list-mode: lax\n          files:\n            - \"!$test\"\n", r.name)
	for _, p := range r.in {
		fmt.Fprintf(b, "            - %q\n", glob(p))
	}
	for _, p := range r.except {
		fmt.Fprintf(b, "            - %q\n", "!"+glob(p))
	}
	if len(r.allow) > 0 {
		b.WriteString("          allow:\n")
	}
	for _, p := range r.allow {
		fmt.Fprintf(b, "            - %s\n", p)
	}
	b.WriteString("          deny:\n")
	why := fmt.Sprintf("&%s %q", r.name, r.why)
	for _, p := range r.deny {
		fmt.Fprintf(b, "            - pkg: %s\n              desc: %s\n", p, why)
		why = "*" + r.name // an alias of the first
	}
}

// glob writes a directory pattern as depguard's file pattern.
func glob(p string) string {
	base, below := strings.CutSuffix(p, "...")
	switch {
	case p == "...":
		return "**/*.go"
	case below:
		return "**/" + base + "**"
	}
	return "**/" + p + "/*.go"
}
