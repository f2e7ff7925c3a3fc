package rsyncproto

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

// askNames runs a pull that asks for nothing but the file list and returns the
// names in it; directories end in a slash. command must not offer incremental
// recursion and must ask for no owner, group, devices and links.
func askNames(t *testing.T, fs vfs.FS, command string, rules, filesFrom []string) ([]string, Result, string) {
	t.Helper()
	stream, res, stderr := askList(fs, command, rules, filesFrom)
	var names []string
	if len(stream) > 0 && res.Err == nil {
		names = decodeNames(t, stream)
	}
	return names, res, stderr + string(stream)
}

// askList runs a pull that asks for nothing but the file list and returns what
// the server sends.
func askList(fs vfs.FS, command string, rules, filesFrom []string) (stream []byte, res Result, text string) {
	var in, out, stderr bytes.Buffer
	w := wire.NewWriter(&in)
	w.Int(32)
	w.Vstring([]byte("md5"))
	w.Frame()
	for _, rule := range rules {
		w.Int(int32(len(rule)))
		w.WriteString(rule)
	}
	w.Int(0)
	for _, name := range filesFrom {
		w.WriteString(name)
		w.Byte(0)
	}
	if filesFrom != nil {
		w.Byte(0)
	}
	for range 5 {
		w.Ndx(32, wire.NdxDone)
	}
	w.Flush()
	res = Serve(context.Background(), Config{Command: command, FS: fs, Stdin: &in, Stdout: &out, Stderr: &stderr, Abort: func() {}, Seed: 1})
	return out.Bytes(), res, stderr.String()
}

// decodeNames reads the file list of a session with varint flags.
func decodeNames(t *testing.T, stream []byte) []string {
	t.Helper()
	plain := handshakeLen(t, stream, 1)
	data, _, _ := frames(t, stream, plain, -1)
	r := wire.NewReader(bytes.NewReader(data[plain:]))
	const any32 = 1<<31 - 1
	var names []string
	name, mode := "", uint32(0)
	for r.Err() == nil {
		flags := r.Varint("flags", 0, any32)
		if flags == 0 {
			break
		}
		shared := 0
		if flags&0x20 != 0 {
			shared = int(r.Byte())
		}
		n := int(0)
		if flags&0x40 != 0 {
			n = int(r.Varint("length", 0, 4096))
		} else {
			n = int(r.Byte())
		}
		name = name[:shared] + string(r.Bytes("name", n, 4096))
		r.Varlong("size", 3, 0, 1<<62)
		if flags&0x80 == 0 {
			r.Varlong("mtime", 4, -1<<62, 1<<62)
		}
		if flags&0x2000 != 0 {
			r.Varint("nsec", 0, any32)
		}
		if flags&0x02 == 0 {
			mode = r.Uint32()
		}
		switch {
		case mode&vfs.ModeType == vfs.ModeDir:
			names = append(names, name+"/")
		default:
			names = append(names, name)
		}
	}
	if r.Err() != nil {
		t.Fatalf("file list: %v", r.Err())
	}
	return names
}

// scenario is one pull of the real rsync over a tree with filter rules.
type scenario struct {
	Name           string
	Tree, Symlinks map[string]string
	ServerOptions  []string `json:"server_options"`
	WireRules      []string `json:"wire_rules"`
	FilesFrom      []string `json:"files_from"`
	Args           []string
	Sent           []string
	ServerError    string `json:"server_error"`
	Quirk          string
}

// sane are the results where stock has a quirk that is not copied: the rules
// of per-directory files hold whatever way the names came.
var sane = map[string][]string{
	"two dot-dir args: per-dir file of the second root": {".f", ".f", "a", "b"},
	"files-from + dir-merge":                            {"a", "b", "d/", "d/a", "d/c"},
}

// home is where the scenarios' trees stand; one pattern counts on the last
// component.
const home = "srv/fs"

func TestFilterScenarios(t *testing.T) {
	f, err := os.Open("filter/testdata/scenarios.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var s scenario
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name, func(t *testing.T) { runScenario(t, s) })
	}
	if n != 112 {
		t.Errorf("%d scenarios, want 112", n)
	}
}

func runScenario(t *testing.T, s scenario) {
	command := "rsync --server --sender -re.LsfxCIvu"
	for _, o := range s.ServerOptions {
		command += " " + o
	}
	if s.FilesFrom != nil {
		command = strings.Replace(command, "-re", "-Re", 1) + " --files-from=- --from0"
	}
	relative := strings.Contains(command, "-R") && s.FilesFrom == nil
	command += " ."
	for _, a := range s.Args {
		if relative && !strings.Contains(a, "/./") {
			a = "./" + a
		}
		command += " " + home + "/" + a
	}
	var rules []string
	for _, r := range s.WireRules {
		rules = append(rules, strings.ReplaceAll(r, "@ABS@", "/"+home))
	}
	names, res, text := askNames(t, scenarioTree(s), command, rules, s.FilesFrom)
	if s.ServerError != "" {
		if res.ExitStatus != 1 || res.Err == nil {
			t.Errorf("status %d (%v), want a syntax error: %s", res.ExitStatus, res.Err, s.ServerError)
		}
		if what, _, _ := strings.Cut(s.ServerError, "<"); !strings.Contains(text, strings.TrimSpace(what)) {
			t.Errorf("message %q, want %q", text, what)
		}
		return
	}
	want := s.Sent
	if w, ok := sane[s.Name]; ok {
		want = w
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "./" })
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("quirk %q, rules %q\n got %q\nwant %q", s.Quirk, s.WireRules, names, want)
	}
}

func scenarioTree(s scenario) *vfstest.Memory {
	t := vfstest.NewMemory()
	dirs := map[string]bool{"": true}
	var mkdir func(string)
	mkdir = func(p string) {
		if !dirs[p] {
			if i := strings.LastIndexByte(p, '/'); i >= 0 {
				mkdir(p[:i])
			}
			dirs[p] = true
			t.Add(p, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755, Size: 4096}})
		}
	}
	add := func(path string, n vfstest.Node) {
		path = home + "/" + path
		if dir, ok := strings.CutSuffix(path, "/"); ok {
			mkdir(dir)
			return
		}
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			mkdir(path[:i])
		}
		t.Add(path, n)
	}
	for path, data := range s.Tree {
		data = strings.ReplaceAll(data, "@ABS@", "/"+home)
		add(path, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: []byte(data)})
	}
	for path, target := range s.Symlinks {
		add(path, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: target})
	}
	return t
}
