package argv

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/vfs"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		command string
		words   []string
		quoted  string // one mark per byte of all words: "q" or "."
	}{
		{"", nil, ""},
		{" \t ", nil, ""},
		{"a b", []string{"a", "b"}, ".."},
		{" a\t b ", []string{"a", "b"}, ".."},
		{`a\ b`, []string{"a b"}, ".q."},
		{`'a b'c`, []string{"a bc"}, "qqq."},
		{`"a b"c`, []string{"a bc"}, "qqq."},
		{`''`, []string{""}, ""},
		{`"" a`, []string{"", "a"}, "."},
		{`a''`, []string{"a"}, "."},
		{`'\'`, []string{`\`}, "q"},
		{`"\a\"\\\$"`, []string{`\a"\$`}, "qqqqq"},
		{"\"\\`\\\n\"", []string{"`\n"}, "qq"},
		{`a\`, []string{`a\`}, ".q"},
		{"a\\\nb", []string{"a\nb"}, ".q."},
		{"a\\\rb\r", []string{"a\rb\r"}, ".q.."},
		{`\#a a#`, []string{"#a", "a#"}, "q..."},
		{`'$a;&|<>()` + "\n`#'", []string{"$a;&|<>()\n`#"}, "qqqqqqqqqqqq"},
		{`";&|<>()#"`, []string{";&|<>()#"}, "qqqqqqqq"},
		{`\$\` + "`" + `\;\&\|\<\>\(\)\'\"\\`, []string{"$`;&|<>()'\"\\"}, "qqqqqqqqqqqq"},
		{`!=^%,:@+`, []string{"!=^%,:@+"}, "........"},
		{"\xff\x80", []string{"\xff\x80"}, ".."},
	}
	for _, test := range tests {
		words, err := Split(test.command)
		if err != nil {
			t.Errorf("%q: %v", test.command, err)
			continue
		}
		var quoted strings.Builder
		for _, w := range words {
			for i := range len(w.text) {
				if w.isQuoted(i) {
					quoted.WriteByte('q')
				} else {
					quoted.WriteByte('.')
				}
			}
		}
		if diff := cmp.Diff(test.words, texts(words)); diff != "" || quoted.String() != test.quoted {
			t.Errorf("%q (-want +got), quoted %s:\n%s", test.command, quoted.String(), diff)
		}
	}
}

// Section 1.3: how releases quote the same names.
func TestExpandQuotingOfClients(t *testing.T) {
	tree := dirTree(makeTree(t))
	tests := []struct {
		args string // what the client sends behind the dot
		want []string
	}{
		{`a\ b`, []string{"a b"}},                          // 3.2.4+: host:'a b'
		{`a b`, []string{"a", "b"}},                        // 3.2.3: the same
		{`'a b'`, []string{"a b"}},                         // 3.2.3: host:"'a b'"
		{`a\*b`, []string{"a*b"}},                          // 3.2.5+: host:'a\*b'
		{`a\\*b`, []string{`a\b`}},                         // 3.2.4: the same, the wildcard lives
		{`a\{b,c\}`, []string{"a{b,c}"}},                   // 3.2.4+: no brace expansion
		{`{a,b}/x`, []string{"a/x", "b/x"}},                // 3.2.3
		{`./-opt`, []string{"./-opt"}},                     // 3.0.8+
		{`-opt`, []string{"-opt"}},                         // 2.6.9, openrsync
		{`\~`, []string{"~"}},                              // 3.2.5+
		{`~`, []string{"/"}},                               //
		{`~/`, []string{"/"}},                              //
		{`~/a*/x`, []string{"/a-b/x", "/a/x"}},             //
		{`~user`, []string{"~user"}},                       //
		{`new\` + "\n" + `line`, []string{"new\nline"}},    // 3.2.4+
		{`tab\	x`, []string{"tab\tx"}},                     // 3.2.4+
		{`q\"d quo\'te`, []string{`q"d`, "quo'te"}},        // 3.2.4+
		{``, []string{"."}},                                // 2.6.9: host:
		{`''`, []string{"."}},                              //
		{`.`, []string{"."}},                               //
		{`/`, []string{"/"}},                               //
		{`//a/`, []string{"//a/"}},                         //
		{`/a/./su*`, []string{"/a/./sub"}},                 // -R
		{`/f[12]`, []string{"/f1", "/f2"}},                 //
		{`./f[12] /b/*`, []string{"./f1", "./f2", "/b/x"}}, //
		{`a/*/ nope*`, []string{"a/sub/", "a/up/", "nope*"}},
		{`a/../b*x a..b ...`, nil},
		{`f2 f1 f*0`, []string{"f2", "f1", "f10"}},
		{`a/ a/. dangling /nope`, []string{"a/", "a/.", "dangling", "/nope"}},
	}
	for _, test := range tests {
		got, err := expandArgs(tree, "rsync --server --sender -r . "+test.args)
		if test.want == nil {
			checkRefusal(t, test.args, err, refuse(1, CodePath, `".." is not allowed in a path: a/../b*x`))
			continue
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.args, err, diff)
		}
	}
}

func expandArgs(tree Lister, command string) ([]string, error) {
	p, err := Parse(command)
	if err != nil {
		return nil, err
	}
	return p.Expand(tree)
}

// endless is a tree in which each directory holds the same entries, and so
// does every name that ends with "d".
type endless []vfs.Info

var errNone = errors.New("no such file or directory")

// letters holds the directories ad to jd.
var letters = endless{dir("ad"), dir("bd"), dir("cd"), dir("dd"), dir("ed"), dir("fd"), dir("gd"), dir("hd"), dir("id"), dir("jd")}

func dir(name string) vfs.Info { return vfs.Info{Name: name, Mode: vfs.ModeDir} }

// crowd is letters among 10000 files.
func crowd() endless {
	all := slices.Clone(letters)
	for i := range 10000 {
		all = append(all, vfs.Info{Name: fmt.Sprint(i), Mode: vfs.ModeRegular})
	}
	return all
}

func (e endless) Lstat(p vfs.Path) (vfs.Info, error) {
	if p.IsRoot() || strings.HasSuffix(p.Base(), "d") {
		return vfs.Info{Mode: vfs.ModeDir}, nil
	}
	return vfs.Info{}, errNone
}

func (e endless) ReadDir(p vfs.Path, _ []vfs.Info) ([]vfs.Info, error) { return e, nil }

func TestExpandLimits(t *testing.T) {
	tooMany := refuse(1, CodeLimit, "the arguments stand for more than 100000 names or 33554432 bytes of them")
	long := strings.Repeat("x", MaxArg)
	pairs := strings.Repeat("{a,b}", 16) // 65536 words of 16 bytes
	tests := []struct {
		name, args string
		want       *Refusal
	}{
		{"longest argument", long, nil},
		{"too long", long + "x", refuse(1, CodePath, "an argument is longer than 4095 bytes")},
		{"100000 names", "*/*/*/*/*", nil},
		{"a million names", "*/*/*/*/*/*", tooMany},
		{"many directories, no name", "0*/nope */*d/*d/*d/*d/*d/*d/nope", refuse(1, CodeLimit, "the wildcards look at more than 10485760 directory entries")},
		{"product", pairs, nil},
		{"large product", pairs + "{a,b}", tooMany},
		{"huge product", strings.Repeat("{a,b}", 40000), tooMany},
		{"empty product", strings.Repeat("{,}", 80000), tooMany},
		{"products side by side", "{" + strings.Repeat(pairs+",", 3000) + "}", tooMany},
		{"products one by one", strings.Repeat(pairs+" ", 900), tooMany},
		{"long tail", pairs + strings.Repeat("x", 200000), tooMany},
		{"deep", strings.Repeat("{a,", 101) + strings.Repeat("}", 101), refuse(1, CodeLimit, "more than 100 braces within braces")},
		{"open braces", strings.Repeat("{", 4000), nil},
		{"many open braces", strings.Repeat("{", 200000), refuse(1, CodePath, "an argument is longer than 4095 bytes")},
		{"names and braces", "{a,b}{c,d}{1,2,3,4,5,6,7,8,9}*/../*", refuse(1, CodePath, `".." is not allowed in a path: ac1*/../*`)},
		{"two with files-from", "a b", refuse(1, CodePath, "--files-from takes one directory, not 2 arguments")},
		{"two matches with files-from", "[ab]d", refuse(1, CodePath, "--files-from takes one directory, not 2 arguments")},
	}
	for _, test := range tests {
		options := "-r"
		if strings.HasSuffix(test.name, "files-from") {
			options = "--files-from=-"
		}
		tree := letters
		if strings.HasPrefix(test.name, "many") {
			tree = crowd()
		}
		_, err := expandArgs(tree, "rsync --server --sender "+options+" . "+test.args)
		if test.want != nil {
			checkRefusal(t, test.name, err, test.want)
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestExpandSecludedLimits(t *testing.T) {
	for arg, want := range map[string]*Refusal{
		"*/*/*/*/*/*":                          refuse(1, CodeLimit, "the arguments stand for more than 100000 names or 33554432 bytes of them"),
		strings.Repeat("x", MaxArg+1):          refuse(1, CodePath, "an argument is longer than 4095 bytes"),
		"a/../b":                               refuse(1, CodePath, `".." is not allowed in a path: a/../b`),
		"..":                                   refuse(1, CodePath, `".." is not allowed in a path: ..`),
		strings.Repeat("*d/", 10) + "no\x1bpe": refuse(1, CodeLimit, "the wildcards look at more than 10485760 directory entries"),
	} {
		p := &Pull{Secluded: true, Args: []Word{{text: arg}}}
		tree := letters
		if strings.HasSuffix(arg, "pe") {
			tree = crowd()
		}
		_, err := p.Expand(tree)
		checkRefusal(t, arg, err, want)
	}
}

// A directory that cannot be read, or only in part, is no error.
type broken struct{ endless }

func (broken) Lstat(p vfs.Path) (vfs.Info, error) {
	if p.Base() == "ad" || p.Base() == "x" {
		return dir(p.Base()), nil
	}
	return vfs.Info{}, errNone
}

func (broken) ReadDir(p vfs.Path, _ []vfs.Info) ([]vfs.Info, error) {
	if p.IsRoot() {
		return []vfs.Info{{Name: "b", Err: errNone}, {Name: "ad", Mode: vfs.ModeDir}}, errNone
	}
	return nil, errNone
}

func TestExpandUnreadable(t *testing.T) {
	tree := broken{}
	for args, want := range map[string]string{
		"*":    "[ad b]",
		"*/":   "[ad/]",
		"*/x":  "[ad/x]",
		"ad/*": "[ad/*]",
	} {
		got, err := expandArgs(tree, "rsync --server --sender . "+args)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v; want %s", args, got, err, want)
		}
	}
}
