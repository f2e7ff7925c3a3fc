package argv

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shellWords returns what a shell makes of each command, in one process. The
// working directory is the tree and so is $HOME.
func shellWords(t *testing.T, shell, dir string, commands []string) [][]string {
	t.Helper()
	script := `printf '%s\0' x; for w do eval "set -- $w"; for i do printf '%s\0' "$i"; done; printf '\1\0'; done`
	cmd := exec.Command(shell, append([]string{"-c", script, shell}, commands...)...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s is needed to compare with: %v", shell, err)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")[1:]
	var result [][]string
	var current []string
	for _, w := range words {
		if w == "\x01" {
			result = append(result, current)
			current = nil
			continue
		}
		if w == dir || strings.HasPrefix(w, dir+"/") {
			w = "/" + strings.TrimPrefix(w[len(dir):], "/") // the login directory is the root
		}
		current = append(current, w)
	}
	if len(result) != len(commands) {
		t.Fatalf("%s: %d results for %d commands", shell, len(result), len(commands))
	}
	return result
}

func expandOurs(dir, command string) ([]string, error) {
	words, err := Split(command)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, nil
	}
	p := &Pull{Args: words}
	return p.Expand(dirTree(dir))
}

func compareWithShell(t *testing.T, shell, dir string, commands []string) {
	t.Helper()
	want := shellWords(t, shell, dir, commands)
	for i, command := range commands {
		got, err := expandOurs(dir, command)
		if err != nil {
			t.Errorf("%q: %v", command, err)
			continue
		}
		for j := range want[i] {
			if want[i][j] == "" {
				want[i][j] = "." // rsync's reading of an empty argument
			}
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%q (-%s +ours):\n%s", command, shell, diff)
		}
	}
}

// Words without braces, and without ".*", which means "." and ".." too to
// older shells.
var posixWords = strings.Split(strings.TrimSpace(`
a
a b c
  a   b
'a b' c\ d "e f"
a\ b a\	b
'it'\''s'
"a\"b" "a\\b" "a\b" "a\$b"
'a\b' 'a"b' "a'b"
''
"" a ''
''a"b"c\d
a''
a#b
a\#b
\#a
!a a! ^ = % , : @ + a=b
\*
'*'
"*"
a\*b
a\?b
a\[1\]
'a[1]'
*
a*
*b
*/x
a/*
./*
./a/*
a/./*
a//*
*/
a*/
la/*
la
l*
l*/
l*/*
d*
dang*
nope*
nope/*
*/nope
a/x/*
?
??
f?
f??
f[0-9]
f[12]
f[!1]
f[^1]
[a-c]*
[!a-c]*
[]]
[]a]*
[!]]
[[]z]
[[:upper:]]
[[:alpha:]]?
[[:digit:][:upper:]]
[a-
[
[!
a[
a[1
a[1]
*[1]*
[a/x]
a/[xy]
[b-a]
[a-]*
[-a]*
[x-]*
'['z]
\[z]
[\]]
[\a]b
[a\-c]*
[!\a]b
["a"]b
{q}
{
}
a{b
~
~/
~/a
~/a*
~//a
~user
~\/a
\~
'~'
"~"/a
a~
a/~
a\
-opt
-*
--
q*
tab*
new*
.d*
.hid/*
*.txt
d.d/*.txt
d.d/e*.*
e.*
*.*
*a*b*
***a***
\\
\\*
*\\*
a\\*
*"*"*
*\ *
*\'*
la/./*
a-b/*
a*/x
a*/*x
*/*/*
*/sub/*
*/su[b]/deep
*/x/
*/.
a/su?/
é f\é
\^
[!!]
[^^]
[]-a]*
[--0]*
[a-c-e]*
[[:nope:]]
[[:alpha:]-z]
[[.a.]]
`), "\n")

var bashWords = strings.Split(strings.TrimSpace(`
{a,b}
{a,b}{1,2}
x{a,b}y
a/{x,y}
{a,b}/x
{a,b}/*
{a*,f?}
{a,{b,c},d}
{a,b{1,2},c}
{{a,b},{c,d}}
{a}
{}
{a,b
a,b}
{a,b}}
{{a,b}
}{a,b}
{a,{b}
{a,{b,c}
{a}b,c}
a{b{c,d}e
{a\,b}
{a,b\}
\{a,b}
\{a,b\}
"{a,b}"
{"a,b",c}
{a,'b c',d\ e}
{,a}b
{a,}b
a{,}b
x{,,}
{a,b},{c,d}
{~,a}/x
~{a,b}
{./a,b}/*
{a,b}{c,d}{e,f}
.*
.[!.]*
.?*
./.*
{a,b}*
{a,a}
"a"{b,"c*",d}*
{a,b}\*
a{b,c}
a\{b,c}
x{1,2}y{3,4}z
{{a},b}
{a{b,c},d}e
`), "\n")

func TestExpandLikeDash(t *testing.T) {
	compareWithShell(t, "dash", makeTree(t), except(posixWords,
		`[[.a.]]`,        // a collating symbol to dash, which we do not know
		`[[:nope:]]`,     // shells disagree
		`[^^]`, `f[^1]`)) // dash negates with ! alone
}

func TestExpandLikeBash(t *testing.T) {
	compareWithShell(t, "bash", makeTree(t), append(except(posixWords, `[[.a.]]`, `[[:nope:]]`), bashWords...))
}

func except(words []string, out ...string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(out, w) })
}

// Random words from the bytes that matter, compared with both shells.
func TestExpandRandomly(t *testing.T) {
	dir := makeTree(t)
	for shell, alphabet := range map[string]string{
		"dash": `aab**?[]]!-\'"/ ~xf1,:`,
		"bash": `aab*?[]!^-\'"/ {{}},,~xf1.`,
	} {
		random := rand.New(rand.NewPCG(1, uint64(len(alphabet))))
		var commands []string
		for len(commands) < 1500 {
			b := make([]byte, 1+random.IntN(12))
			for i := range b {
				b[i] = alphabet[random.IntN(len(alphabet))]
			}
			command := string(b)
			if isComparable(dir, command) {
				commands = append(commands, command)
			}
		}
		compareWithShell(t, shell, dir, commands)
	}
}

// isComparable reports whether a word means the same to us and to a shell: not
// what we refuse, and not what depends on the rest of the machine.
func isComparable(dir, command string) bool {
	for _, special := range []string{"..", "[:", "[.", "[=", "//", "{}"} {
		if strings.Contains(command, special) {
			return false
		}
	}
	words, err := Split(command)
	if err != nil || len(words) == 0 {
		return false
	}
	p := &Pull{Args: words}
	names, err := p.Expand(dirTree(dir))
	if err != nil || len(names) == 1 && names[0] == "." {
		return false
	}
	for _, name := range names {
		if strings.HasPrefix(name, "/") || filepath.Clean(name) == "/" {
			return false
		}
	}
	for _, w := range words {
		if strings.ContainsAny(w.text, "/{") && strings.HasPrefix(strings.TrimLeft(w.text, "{,"), "/") {
			return false
		}
	}
	return true
}
