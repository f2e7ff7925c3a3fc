package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// command is one client command line of the differential test. In line, words
// are separated by blanks, '...' quotes, and these stand for folders:
//
//	rr:/X  :/X  X beneath the served directory, written absolutely; the real
//	            rsync gets the directory's own name in front
//	DST         the destination, an own one for each server
//	REF         a copy of the source beside the destination
//	DAEMON      the option with which the real rsync finds its rsyncd.conf;
//	            nothing at rrserve
//	AUX         lists and pattern files of fixture.aux
type command struct {
	name string
	dst  string // what DST holds before: empty, copy or edited
	line string
	opt  compareOption
	// refused is the code of the refusal where rrserve serves less than rsync:
	// the client must fail with that code shown, and DST must be untouched.
	refused string
}

// What a destination holds before the run.
const (
	empty  = ""       // nothing
	copied = "copy"   // a faithful copy of the source
	edited = "edited" // the copy changed in every way, see editTree
)

type compareOption int

const (
	// anyOrder compares the lines of standard output sorted: the client's
	// generator and receiver print them as two processes.
	anyOrder compareOption = 1 << iota
	// withAtimes compares access times.
	withAtimes
)

// fixture is what all cases of a differential test share, and do not change.
type fixture struct {
	src, copy, edited, aux string
	servers                [2]*rrtest.Server // the reference, the server under test
}

func newFixture(t *testing.T, opts ...rrtest.Option) *fixture {
	t.Helper()
	dir := rrtest.ScratchDir(t)
	f := &fixture{src: dir + "/src", copy: dir + "/copy", edited: dir + "/edited", aux: dir + "/aux"}
	rrtest.RichTree(t, f.src)
	duplicate(t, f.src, f.copy)
	duplicate(t, f.src, f.edited)
	editTree(t, f.edited)
	makeAux(t, f.aux)
	reference := rrtest.Sshd(t, f.src, opts...)
	if err := reference.Multiplex(); err != nil {
		t.Fatal(err)
	}
	f.servers = [2]*rrtest.Server{reference, rrtest.UnderTest(t, f.src, opts...)}
	return f
}

// duplicate copies a tree on the local machine, with everything it has.
func duplicate(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", "--", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp -a: %v\n%s", err, out)
	}
}

func allCommands() []command {
	return slices.Concat(basicCommands, sourceCommands, deleteCommands, transferCommands, filterCommands, linkCommands, optionCommands)
}

func TestDifferential(t *testing.T) {
	f := newFixture(t)
	names := make(map[string]bool)
	for _, c := range allCommands() {
		if names[c.name] {
			t.Fatalf("two cases are called %q", c.name)
		}
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, defaultClient)
		})
	}
}

// TestDifferentialOldClient runs some of the lines with Debian's rsync 3.2.7,
// which sends other arguments and negotiates on its own terms.
func TestDifferentialOldClient(t *testing.T) {
	client := oldClient(t)
	f := newFixture(t)
	lines := make(map[string]command)
	for _, c := range allCommands() {
		lines[c.name] = c
	}
	for _, name := range oldClientCommands {
		c, ok := lines[name]
		if !ok {
			t.Fatalf("no case is called %q", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, client)
		})
	}
}

// defaultClient is the rsync of PATH, or the one that RRTEST_RSYNC names.
const defaultClient = ""

// oldClient is the second client that test/deps.sh unpacks.
func oldClient(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs("../.cache/rsync-3.2.7/usr/bin/rsync")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Fatalf("the second client is missing, run test/deps.sh: %v", err)
	}
	return name
}

// outcome is what one run left behind, ready to be compared.
type outcome struct {
	code           int
	stdout, stderr string
	matched        int64 // bytes of --stats' "Matched data", -1 without
	before, tree   rrtest.Snapshot
	raw            rrtest.Result
}

// compare runs c against both servers and returns the exit code at the server
// under test.
func (f *fixture) compare(t *testing.T, c command, client string) int {
	t.Helper()
	got := f.runAgain(t, c, client, f.servers[1])
	var report []string
	if c.refused != "" && f.servers[1].Name == "rrserve" {
		report = checkRefusal(c.refused, got)
	} else {
		report = differences(f.runAgain(t, c, client, f.servers[0]), got)
	}
	if len(report) > 0 {
		t.Errorf("%s\n%s\n- reference, + %s; its stderr:\n%s", c.line, strings.Join(report, "\n"), f.servers[1].Name, got.raw.Stderr)
	}
	return got.code
}

// differences lists what got did otherwise than want; nothing when they agree.
func differences(want, got outcome) []string {
	var report []string
	if want.code != got.code {
		report = append(report, fmt.Sprintf("exit code %d, want %d", got.code, want.code))
	}
	if got.matched < want.matched {
		report = append(report, fmt.Sprintf("matched %d bytes, reference %d", got.matched, want.matched))
	}
	report = append(report, diffLines("stdout", want.stdout, got.stdout)...)
	report = append(report, diffLines("stderr", want.stderr, got.stderr)...)
	for _, d := range first(rrtest.Diff(want.tree, got.tree), 15) {
		report = append(report, "tree: "+d)
	}
	return report
}

// checkRefusal lists what is wrong with the refusal of a command line.
func checkRefusal(code string, got outcome) []string {
	var report []string
	if got.code == 0 {
		report = append(report, "exit code 0, want a failure")
	}
	if !strings.Contains(got.raw.Stderr, "["+code+"]") {
		report = append(report, "standard error does not say "+code)
	}
	for _, d := range first(rrtest.Diff(got.before, got.tree), 15) {
		report = append(report, "tree: "+d)
	}
	return report
}

// runAgain is run, and once more where a block was taken for another: short
// sums are equal by chance about once in a thousand files, and the client then
// asks for the file a second time.
func (f *fixture) runAgain(t *testing.T, c command, client string, s *rrtest.Server) outcome {
	t.Helper()
	out := f.run(t, c, client, s)
	if strings.Contains(out.stderr, "failed verification -- update discarded (will try again)") {
		return f.run(t, c, client, s)
	}
	return out
}

func (f *fixture) run(t *testing.T, c command, client string, s *rrtest.Server) outcome {
	t.Helper()
	begin := time.Now().Add(-time.Second)
	work := rrtest.ScratchDir(t)
	dst := work + "/dst"
	switch c.dst {
	case copied:
		duplicate(t, f.copy, dst)
	case edited:
		duplicate(t, f.edited, dst)
	default:
		if err := os.Mkdir(dst, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(c.line, "REF") {
		duplicate(t, f.copy, work+"/REF")
	}
	aspects := rrtest.Aspects{FreshAfter: begin, Links: true, Xattrs: true, Atimes: c.opt&withAtimes != 0}
	var before rrtest.Snapshot
	if c.refused != "" {
		var err error
		if before, err = rrtest.Take(dst, aspects); err != nil {
			t.Fatal(err)
		}
	}
	root := ""
	if s.Name == "sshd" {
		root = f.src
	}
	res := rrtest.Client{Server: s, Rsync: client}.Run(t, f.words(c.line, root, work)...)
	tree, err := rrtest.Take(dst, aspects)
	if err != nil {
		t.Fatal(err)
	}
	n := normalizer{src: f.src, work: work, aux: f.aux}
	out := outcome{code: res.Code, before: before, tree: tree, raw: res}
	out.stdout, out.matched = n.stdout(res.Stdout)
	out.stderr = n.stderr(res.Stderr)
	if c.opt&anyOrder != 0 {
		out.stdout = sortLines(out.stdout)
	}
	rrtest.RemoveAll(work)
	return out
}

// words splits a command line and puts the folders in.
func (f *fixture) words(line, root, work string) []string {
	words := splitWords(line)
	if root == "" {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "DAEMON" })
	}
	for i, w := range words {
		if rest, ok := strings.CutPrefix(w, "rr:/"); ok {
			w = "rr:" + root + "/" + rest
		} else if rest, ok := strings.CutPrefix(w, ":/"); ok {
			w = ":" + root + "/" + rest
		}
		if root != "" { // sudo is not installed everywhere
			w = strings.NewReplacer("=sudo -n ", "=", "=sudo ", "=").Replace(w)
		}
		words[i] = strings.NewReplacer("DAEMON", "--rsync-path=rsync --config="+f.aux+"/rsyncd.conf", "DST", work+"/dst", "REF", work+"/REF", "AUX", f.aux).Replace(w)
	}
	return words
}

// splitWords splits at blanks; '...' keeps them.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

func first(lines []string, n int) []string {
	if len(lines) > n {
		return append(lines[:n:n], fmt.Sprintf("... and %d more", len(lines)-n))
	}
	return lines
}
