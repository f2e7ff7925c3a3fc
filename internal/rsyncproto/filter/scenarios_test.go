package filter

import (
	"bufio"
	"encoding/json"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// scenario is a whole recursive pull recorded with rsync 3.5.0.
type scenario struct {
	Name          string
	Tree          map[string]string // path -> content
	Symlinks      map[string]string
	WireRules     []string `json:"wire_rules"`
	ServerOptions []string `json:"server_options"`
	FilesFrom     []string `json:"files_from"`
	Args          []string
	Sent          []string
	ServerError   string `json:"server_error"`
	Quirk         string
}

// home is where the scenarios' trees stand in the virtual tree; one pattern
// counts on the last component.
const home = "/srv/fs"

// The recorded result is that of two stock quirks: the per-directory files of
// a second dot-dir argument are not read with incremental recursion, and with
// --from0 per-directory files are split at NUL. The results here are what the
// rules mean.
var ownResults = map[string][]string{
	"two dot-dir args: per-dir file of the second root": {".f", ".f", "a", "b"},
	"files-from + dir-merge":                            {"a", "b", "d/", "d/a", "d/c"},
}

func TestScenarios(t *testing.T) {
	in, err := os.Open("testdata/scenarios.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	count, own := 0, 0
	for lines := bufio.NewScanner(in); lines.Scan(); count++ {
		var s scenario
		text := strings.ReplaceAll(lines.Text(), "@ABS@", home)
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if want, ok := ownResults[s.Name]; ok {
			s.Sent = want
			own++
		}
		t.Run(s.Name, func(t *testing.T) { s.run(t) })
	}
	if count != 112 || own != len(ownResults) {
		t.Errorf("%d scenarios, %d with an own result", count, own)
	}
}

func (s *scenario) run(t *testing.T) {
	l := &List{}
	for _, rule := range s.WireRules {
		if err := l.add(rule, 31); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Contains(s.ServerOptions, "-C") {
		l.AddCVS()
	}
	w := walk{list: l, tree: newMemory(s.Tree, s.Symlinks), deep: true}
	var err error
	for _, arg := range s.Args {
		switch {
		case s.FilesFrom != nil:
			w.deep = false
			for _, name := range s.FilesFrom {
				err = w.relative(path.Join(home, arg), name)
			}
		case slices.Contains(s.ServerOptions, "-R"):
			root, name, ok := strings.Cut(arg, "/./")
			if !ok {
				root, name = "", arg
			}
			err = w.relative(path.Join(home, root), path.Clean(name))
		default:
			err = w.plain(arg)
		}
		if err != nil {
			break
		}
	}
	switch {
	case err != nil && err.Error() != s.ServerError:
		t.Errorf("error %q, want %q", err, s.ServerError)
	case err == nil && s.ServerError != "":
		t.Errorf("no error, want %q", s.ServerError)
	case err == nil:
		slices.Sort(w.sent)
		slices.Sort(s.Sent)
		if diff := cmp.Diff(s.Sent, w.sent, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
	}
}

// memory is a tree of files: absolute virtual path -> content.
type memory struct {
	files map[string]string
	links map[string]string
	reads []string
}

func newMemory(files, links map[string]string) *memory {
	m := &memory{files: map[string]string{}, links: map[string]string{}}
	for name, content := range files {
		m.files[path.Join(home, name)] = content
	}
	for name, target := range links {
		m.links[path.Join(home, name)] = path.Join(home, path.Dir(name), target)
	}
	return m
}

func (m *memory) ReadFile(dir, name string) ([]byte, error) {
	full := path.Join(dir, name)
	m.reads = append(m.reads, full)
	if target, ok := m.links[full]; ok {
		full = target
	}
	if content, ok := m.files[full]; ok {
		return []byte(content), nil
	}
	return nil, ErrNoFile
}

func (m *memory) isDir(name string) bool {
	for file := range m.files {
		if strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return false
}

// list returns the names in a directory.
func (m *memory) list(dir string) []string {
	names := map[string]bool{}
	for _, set := range []map[string]string{m.files, m.links} {
		for file := range set {
			if rest, ok := strings.CutPrefix(file, dir+"/"); ok {
				name, _, _ := strings.Cut(rest, "/")
				names[name] = true
			}
		}
	}
	var out []string
	for name := range names {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// walk builds a list of names as the file list is built.
type walk struct {
	list *List
	tree *memory
	deep bool
	sent []string
}

// plain sends an argument without -R.
func (w *walk) plain(arg string) error {
	full := path.Join(home, arg)
	if arg == "." || strings.HasSuffix(arg, "/") {
		return w.contents(w.list.Top(w.tree, full), full, ".")
	}
	root := path.Dir(full)
	return w.object(w.list.Top(w.tree, root), root, path.Base(full))
}

// relative sends an argument with -R after its implied directories. The rules
// outside of any directory come first: if they leave it out, so they do these.
func (w *walk) relative(root, name string) error {
	d := w.list.Top(w.tree, root)
	if name == "." {
		return w.contents(d, root, ".")
	}
	if d.Excluded(name, w.tree.isDir(path.Join(root, name))) {
		return nil
	}
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		in, err := d.Enter(name[:i])
		if err != nil {
			return err
		}
		d = in
		if parent := name[:i] + "/"; !slices.Contains(w.sent, parent) {
			w.sent = append(w.sent, parent)
		}
	}
	return w.object(d, root, name)
}

// object sends one object unless the rules of d leave it out.
func (w *walk) object(d *Dir, root, name string) error {
	full := path.Join(root, name)
	isDir := w.tree.isDir(full)
	switch {
	case d.Excluded(name, isDir):
		return nil
	case !isDir:
		w.sent = append(w.sent, name)
		return nil
	}
	w.sent = append(w.sent, name+"/")
	if !w.deep {
		return nil
	}
	return w.contents(d, root, name)
}

func (w *walk) contents(d *Dir, root, name string) error {
	in, err := d.Enter(name)
	if err != nil {
		return err
	}
	for _, base := range w.tree.list(path.Join(root, name)) {
		if err := w.object(in, root, path.Join(name, base)); err != nil {
			return err
		}
	}
	return nil
}
