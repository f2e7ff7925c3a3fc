package rrserve_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlatforms checks the types of the binary on the systems that it is built
// for, from source: it takes seconds, where compiling all of the library for each
// takes minutes. What is compiled is for make cross.
func TestPlatforms(t *testing.T) {
	for _, platform := range strings.Fields(variableOf(t, "PLATFORMS")) {
		t.Run(platform, func(t *testing.T) {
			goos, arch, _ := strings.Cut(platform, "/")
			checkPlatform(t, goos, arch)
		})
	}
}

// variableOf is a variable of the Makefile.
func variableOf(t *testing.T, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readFile(t, "Makefile"), "\n"+name+" ")
	_, rest, _ = strings.Cut(rest, "= ")
	value, _, _ := strings.Cut(rest, "\n")
	if !ok || value == "" {
		t.Fatalf("the Makefile does not set %s", name)
	}
	return value
}

// platformPackage is what `go list -json` says of a package to check.
type platformPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string
	Module     *struct{ Path string }
}

// checkPlatform checks the packages of the binary in the order of their imports.
func checkPlatform(t *testing.T, goos, arch string) {
	cmd := exec.Command("go", "list", "-buildvcs=false", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module", "./cmd/rrserve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	known := map[string]*types.Package{"unsafe": types.Unsafe}
	sizes := types.SizesFor("gc", arch)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p platformPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.ImportPath != "unsafe" {
			known[p.ImportPath] = checkPackage(t, &p, known, sizes)
		}
	}
}

// checkPackage checks all of a package of ours, and the declarations of others.
func checkPackage(t *testing.T, p *platformPackage, known map[string]*types.Package, sizes types.Sizes) *types.Package {
	ours := p.Module != nil && p.Module.Path == module
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	config := types.Config{
		IgnoreFuncBodies: !ours,
		Sizes:            sizes,
		Importer: importerFunc(func(path string) (*types.Package, error) {
			if mapped := p.ImportMap[path]; mapped != "" {
				path = mapped
			}
			if known[path] == nil {
				return nil, errors.New("not listed")
			}
			return known[path], nil
		}),
		Error: func(err error) {
			if ours {
				t.Error(err)
			}
		},
	}
	pkg, _ := config.Check(p.ImportPath, fset, files, nil) // the errors are told above
	return pkg
}

// importerFunc is a [types.Importer].
type importerFunc func(path string) (*types.Package, error)

// Import calls f.
func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }
