package argv

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rrserve/internal/vfs"
)

// dirTree is a Lister of a real directory, so that shells can look at the same
// tree. It is only for trees whose links stay inside.
type dirTree string

func (d dirTree) path(p vfs.Path) string { return filepath.Join(string(d), p.String()) }

func (d dirTree) Lstat(p vfs.Path) (vfs.Info, error) {
	stat := os.Lstat
	if p.Follows() {
		stat = os.Stat
	}
	fi, err := stat(d.path(p))
	if err != nil {
		return vfs.Info{}, err
	}
	return vfs.Info{Name: p.Base(), Mode: fi.Sys().(*syscall.Stat_t).Mode}, nil
}

func (d dirTree) ReadDir(p vfs.Path, _ []vfs.Info) ([]vfs.Info, error) {
	if !p.Follows() {
		if fi, err := os.Lstat(d.path(p)); err != nil || !fi.IsDir() {
			return nil, err
		}
	}
	entries, err := os.ReadDir(d.path(p))
	var out []vfs.Info
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			out = append(out, vfs.Info{Name: e.Name(), Err: err})
			continue
		}
		out = append(out, vfs.Info{Name: e.Name(), Mode: fi.Sys().(*syscall.Stat_t).Mode})
	}
	return out, err
}

// makeTree creates the tree that the tests of wildcards look at.
func makeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range strings.Split(`a/|a/x|a/y|a/.h|a/sub/|a/sub/deep|b/|b/x|b-c|ab|abc|a b|a*b|a[1]|a\b|`+
		`.hid/|.hid/x|.dot|x?y|[z]|{q}|~|~user|#c|-opt|f1|f2|f10|fé|A|B|]|!|^|quo'te|q"d|tab	x|new`+"\n"+`line|empty/|1|`+
		`d.d/|d.d/e.txt|e.txt|e.log|a{b,c}|x,y|a-b/|a-b/x|\|a]b`, "|") {
		path := filepath.Join(dir, name)
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"la": "a", "lx": "a/x", "dangling": "nowhere", "ldir": "a/sub", "a/up": "../b"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
