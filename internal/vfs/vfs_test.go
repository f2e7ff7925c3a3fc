package vfs_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/vfs"
)

// TestFS holds the list of what can be asked of a tree. A method that is added
// here must be one that reads.
func TestFS(t *testing.T) {
	want := map[string]string{
		"Lstat":    "func(vfs.Path) (vfs.Info, error)",
		"ReadDir":  "func(vfs.Path, []vfs.Info) ([]vfs.Info, error)",
		"Readlink": "func(vfs.Path) (string, error)",
		"Open":     "func(vfs.Path) (*vfs.File, error)",
		"Xattrs":   "func(vfs.Path) (*vfs.Xattrs, error)",
	}
	if diff := cmp.Diff(want, methods(reflect.TypeFor[vfs.FS]())); diff != "" {
		t.Error(diff)
	}
}

// TestFile holds the list of what can be asked of a file and of its attributes,
// and that nothing can be taken out of them.
func TestFile(t *testing.T) {
	file := reflect.TypeFor[vfs.File]()
	want := map[string]string{
		"Info":   "func(*vfs.File) *vfs.Info",
		"ReadAt": "func(*vfs.File, []uint8, int64) (int, error)",
		"Close":  "func(*vfs.File) error",
	}
	if diff := cmp.Diff(want, methods(reflect.PointerTo(file))); diff != "" {
		t.Error(diff)
	}
	xattrs := reflect.TypeFor[vfs.Xattrs]()
	want = map[string]string{
		"Names": "func(*vfs.Xattrs) ([]string, error)",
		"Value": "func(*vfs.Xattrs, string) ([]uint8, error)",
		"Close": "func(*vfs.Xattrs) error",
	}
	if diff := cmp.Diff(want, methods(reflect.PointerTo(xattrs))); diff != "" {
		t.Error(diff)
	}
	for _, typ := range []reflect.Type{file, xattrs, reflect.TypeFor[vfs.Path]()} {
		for field := range typ.Fields() {
			if field.IsExported() {
				t.Errorf("%v has the exported field %s", typ, field.Name)
			}
		}
	}
}

func methods(typ reflect.Type) map[string]string {
	set := map[string]string{}
	for m := range typ.Methods() {
		set[m.Name] = m.Type.String()
	}
	return set
}
