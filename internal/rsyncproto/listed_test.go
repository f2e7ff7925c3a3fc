package rsyncproto

import (
	"slices"
	"strings"
	"testing"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

func listedTree(list string) *vfstest.Memory {
	tree := vfstest.NewMemory()
	dir := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}}
	file := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}}
	for _, name := range []string{"a", "b\xe9", "#c", ";d", "sp ace"} {
		tree.Add(name, file)
	}
	tree.Add("sub", dir)
	tree.Add("sub/e", file)
	file.Data = []byte(list)
	tree.Add("list", file)
	tree.Add("to-list", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "list"})
	tree.Add("to-outside", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "/etc/passwd"})
	return tree
}

// A list of names in the tree: what separates and what is left out.
func TestFilesFromFile(t *testing.T) {
	long := strings.Repeat("x", maxListedName)
	for _, c := range []struct {
		list, options string
		want          []string
		text          string // part of the messages
		status        int
	}{
		{"a\nsub/e\n", "", []string{"a", "e"}, "", 0},
		{"a\r\nsub/e\rsp ace", "", []string{"a", "e", "sp ace"}, "", 0},
		{"\n\n\r#c\n;d\na\n\n", "", []string{"a"}, "", 0},
		{"a\x00sub/e\n", "", []string{"a"}, "", 0},
		{"#c\x00a\x00\x00;d\x00sub/e", "--from0", []string{"a", "e"}, "", 0},
		{"a\nb\x00", "--from0", nil, `link_stat "/a` + "\n" + `b" failed`, 23},
		{"a\nnone\n", "", []string{"a"}, `link_stat "/none" failed: No such file or directory (2)`, 23},
		{"../../a\n/sub/e\n", "", []string{"a", "e"}, "", 0},
		{"a\n" + long + "x\nsub/e", "", []string{"a", "e"}, `x" failed: File name too long (36)`, 23},
		{"#" + long + "\na\n", "", []string{"a"}, "", 0},
		{"b\xe9\n", "--iconv=iso-8859-1", []string{"bé"}, "", 0},
		{"", "", nil, "", 0},
	} {
		for _, path := range []string{"list", "/list", "~/list", "to-list"} {
			command := "rsync --server --sender -e.LsfxCIvu --no-relative " + c.options + " --files-from " + path + " . ."
			got, res, text := askNames(t, listedTree(c.list), command, nil, nil)
			if !slices.Equal(got, c.want) || res.ExitStatus != c.status || !strings.Contains(text, c.text) {
				t.Errorf("%q: %q, status %d (%v), %q, want %q, %d, %q", c.list[:min(len(c.list), 20)], got, res.ExitStatus, res.Err, text[:min(len(text), 300)], c.want, c.status, c.text)
			}
		}
	}
}

func TestFilesFromFileThatCannotBeOpened(t *testing.T) {
	for path, why := range map[string]string{
		"none":         "No such file or directory",
		"to-outside":   "No such file or directory",
		"sub":          "Invalid argument",
		"/etc/passwd":  "No such file or directory",
		"../list":      `".." is not allowed in a path`,
		"sub/../list":  `".." is not allowed in a path`,
		"sub/e/below":  "Not a directory",
		"'with space'": "No such file or directory",
	} {
		command := "rsync --server --sender -e.LsfxCIvu --files-from " + path + " . ."
		_, res, text := askNames(t, listedTree(""), command, nil, nil)
		want := "rsync: failed to open files-from file " + strings.Trim(path, "'") + ": " + why + "\n" +
			"rsync error: syntax or usage error (code 1) [server=rrserve]\n"
		if text != want || res.ExitStatus != 1 || res.Written != 0 {
			t.Errorf("status %d, %q, want 1, %q", res.ExitStatus, text, want)
		}
	}
}

// Names that the character set of the wire does not have are reported.
func TestIconvNamesThatAreNone(t *testing.T) {
	tree := vfstest.NewMemory()
	file := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}}
	dir := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}}
	tree.Add("é", file)
	tree.Add("a\xe9", file)
	tree.Add("\xe9a", dir)
	tree.Add("\xe9a/below", file)
	tree.Add("l", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: "\xe9"})
	names, res, text := askNames(t, tree, "rsync --server --sender -re.LfxCIvu --iconv=. . ./", nil, nil)
	if want := []string{"./", "é", "l"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	_, _, withLinks := askNames(t, tree, "rsync --server --sender -rle.LsfxCIvu --no-recursive --iconv=. . ./l", nil, nil)
	for _, want := range []string{
		"[sender] cannot convert filename: a\xe9 (Invalid argument)\n",
		"[sender] cannot convert filename: \xe9a (Invalid or incomplete multibyte or wide character)\n",
		"[sender] cannot convert symlink data for: \"/l\" (Invalid argument)\n",
	} {
		if !strings.Contains(text+withLinks, want) {
			t.Errorf("messages %q, want %q", text+withLinks, want)
		}
	}
	if res.ExitStatus != 23 || strings.Contains(text, "below") {
		t.Errorf("status %d, messages %q", res.ExitStatus, text)
	}
	_, res, text = askNames(t, tree, "rsync --server --sender -re.LfxCIvu --iconv=nonsense . ./", nil, nil)
	if res.ExitStatus != 4 || !strings.HasPrefix(text, "iconv_open(\"UTF-8\", \"nonsense\") failed\n") {
		t.Errorf("status %d, messages %q", res.ExitStatus, text)
	}
}

// Messages with names are in the character set of the wire too.
func TestIconvMessages(t *testing.T) {
	tree := listedTree("")
	_, _, text := askNames(t, tree, "rsync --server --sender -re.LsfxCIvu --iconv=iso-8859-1 . a no\xe9", nil, nil)
	if want := `link_stat "/noé" failed`; !strings.Contains(text, want) {
		t.Errorf("messages %q, want %q", text, want)
	}
}

// What -vv says about rules, and that nothing is said without it.
func TestExplain(t *testing.T) {
	tree := listedTree("")
	tree.Add(".f", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}, Data: []byte("- sp*\n")})
	rules := []string{"- sub/", "+ a", ": .f"}
	for _, c := range []struct {
		options string
		want    []string
	}{
		{"-re.LsfxCIvu", nil},
		{"-vre.LsfxCIvu", nil},
		{"-vvqre.LsfxCIvu", nil},
		{"-vvre.LsfxCIvu", []string{
			"[sender] showing file a because of pattern a\n",
			"[sender] hiding directory sub because of pattern sub/\n",
			"[sender] hiding file sp ace because of pattern <rule from a file read earlier> [per-dir .f]\n",
			"total: matches=0  hash_hits=0  false_alarms=0 data=0\n",
		}},
	} {
		_, _, text := askNames(t, tree, "rsync --server --sender "+c.options+" . ./", rules, nil)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: messages %q, want %q", c.options, text, want)
			}
		}
		if len(c.want) == 0 && strings.Contains(text, "because of pattern") {
			t.Errorf("%s: messages %q, want none", c.options, text)
		}
	}
}

// openings notes how files are opened.
type openings struct {
	vfs.FS
	noAtime, other int
}

func (o *openings) Open(p vfs.Path) (*vfs.File, error) {
	if p == p.NoAtime() {
		o.noAtime++
	} else {
		o.other++
	}
	return o.FS.Open(p)
}

// The data of files are read without touching their access times if the client
// wants it so.
func TestNoAtime(t *testing.T) {
	for options, want := range map[string]openings{
		"-rce.LsfxCIvu":                {other: 7},
		"-rcUe.LsfxCIvu":               {other: 7},
		"-rcUUe.LsfxCIvu":              {noAtime: 7},
		"-rce.LsfxCIvu --open-noatime": {noAtime: 7},
	} {
		fs := &openings{FS: listedTree("")}
		if _, res, _ := askList(fs, "rsync --server --sender "+options+" . ./", nil, nil); res.Err != nil {
			t.Errorf("%s: %v", options, res.Err)
		}
		if fs.noAtime != want.noAtime || fs.other != want.other {
			t.Errorf("%s: %d opened without access time, %d otherwise, want %d and %d", options, fs.noAtime, fs.other, want.noAtime, want.other)
		}
	}
}

// The prefix of --munge-links is taken from targets that have more than it, and
// only there and then.
func TestMungedLinks(t *testing.T) {
	tree := vfstest.NewMemory()
	for name, target := range map[string]string{
		"munged": "/rsyncd-munged//etc/x", "bare": "/rsyncd-munged/", "plain": "/rsyncd-mungedx", "inner": "a/rsyncd-munged/b",
	} {
		tree.Add(name, vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: target})
	}
	for options, wants := range map[string]string{
		"":                             "\x15/rsyncd-munged//etc/x",
		"--munge-links":                "\x06/etc/x",
		"--no-munge-links":             "\x15/rsyncd-munged//etc/x",
		"--munge-links --iconv=cp1252": "\x06/etc/x",
	} {
		stream, res, _ := askList(tree, "rsync --server --sender -rle.LsfxCIvu "+options+" . ./", nil, nil)
		for _, want := range []string{wants, "\x0f/rsyncd-munged/", "\x0f/rsyncd-mungedx", "\x11a/rsyncd-munged/b"} {
			if !strings.Contains(string(stream), want) || res.ExitStatus != 0 {
				t.Errorf("%q: status %d, %q, want %q in it", options, res.ExitStatus, stream, want)
			}
		}
	}
}
