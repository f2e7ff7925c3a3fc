package test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rrserve/internal/rrtest"
)

// A variant is one way to run all command lines, or some of them, once more.
type variant struct {
	name   string
	words  string // options in front of the command line
	client string // the rsync to run, that of PATH if empty
	of     scope  // the lines that it is for
	// own matches the command lines that make this choice for themselves. They
	// are left out, and counted: what stands later wins, so they would be
	// the same as without the variant.
	own *regexp.Regexp
}

// scope is the rule of selection: what cannot make a difference is not run.
type scope int

const (
	everyLine scope = iota
	// howSent leaves out the lines that are about which files are listed and
	// deleted, sources and filters and links: the choice of a checksum or a
	// compression is not seen in them.
	howSent
	// sumLines are the few of sumCommands, for combinations.
	sumLines
)

var (
	ownProtocol = regexp.MustCompile(`--protocol=`)
	ownChecksum = regexp.MustCompile(`--(cc|checksum-choice)=`)
	ownCompress = regexp.MustCompile(`--(zc|compress-choice)=|--(old|new)-compress`)
	ownLevel    = regexp.MustCompile(ownCompress.String() + `|--(zl|compress-level)=`)
)

// ofOldClient are lines that rsync 3.2.7 makes something else of: it leaves
// quoting to the user, so that the reference's shell runs part of a name, which
// is refused here; and of its two processes either may report a bad mode.
var ofOldClient = regexp.MustCompile("`backtick`|--delete-missing-args --force")

// unfit are lines that the reference itself gets wrong, or ends by chance.
var unfit = regexp.MustCompile(strings.Join([]string{
	// It writes access times as no client reads them: into a length of 400 MB,
	// or a client that waits for ever.
	`--protocol=27 .*-[a-zA-Z]*U`,
	// The client takes names without their directories for an attack, and
	// gives up at any point.
	`--protocol=2[789] .*--no-implied-dirs`,
	// It loses the reason for which it ends.
	`--protocol=2[78] .*(--cc=none -aic|-aic --checksum-choice=none)`,
	// A message tells of errors in later lists: some files are deleted before
	// it arrives, or none.
	`--protocol=30 .*--delete --iconv`,
	// It takes what a wildcard matches in the order in which the file system
	// lists it; of equal names in several sources the first wins.
	`^-s .*rr:\*/ `,
}, "|"))

// sumCommands put both kinds of sums and the compressed forms of literal data
// and matched blocks on the wire. Combinations of choices are run with these
// only.
var sumCommands = []string{"no whole file", "inplace, no whole file", "checksum", "append verify", "ignore times, no whole file"}

// variants are all the ways: every protocol; every checksum and compression
// that the client says it has, so that a new one is not overlooked; and with
// sumCommands the combinations of these, and levels.
func variants(t *testing.T) []variant {
	t.Helper()
	checksums, compressions := offered(t, "Checksum list:"), offered(t, "Compress list:")
	var vs []variant
	for v := 27; v <= 32; v++ {
		vs = append(vs, variant{name: fmt.Sprint("protocol ", v), words: fmt.Sprintf("--protocol=%d", v), own: ownProtocol})
	}
	for _, name := range append(checksums, "auto") {
		vs = append(vs, variant{name: "checksum " + name, words: "--cc=" + name, of: howSent, own: ownChecksum})
	}
	for _, name := range compressions {
		vs = append(vs, variant{name: "compress " + name, words: "-z --zc=" + name, of: howSent, own: ownCompress})
	}
	vs = append(vs,
		variant{name: "compress", words: "-z", of: howSent, own: ownCompress},
		variant{name: "old compress", words: "--old-compress", of: howSent, own: ownCompress},
		variant{name: "new compress", words: "--new-compress", of: howSent, own: ownCompress},
		variant{name: "rsync 3.2.7", client: oldClient(t), own: ofOldClient},
		variant{name: "secluded", words: "-s"},
		variant{name: "no inc recursive", words: "--no-i-r"},
	)
	return append(vs, combinations(checksums, compressions)...)
}

// combinations are pairs of choices. Protocols below 30 know no negotiation,
// but a choice that both sides are told holds there too.
func combinations(checksums, compressions []string) []variant {
	var vs []variant
	add := func(name, words string, own *regexp.Regexp) {
		vs = append(vs, variant{name: name, words: words, of: sumLines, own: own})
	}
	for _, a := range checksums {
		for _, b := range checksums {
			if a != b {
				add("checksums "+a+" and "+b, "--cc="+a+","+b, ownChecksum)
			}
		}
		for _, z := range compressions {
			add("checksum "+a+" and compress "+z, "--cc="+a+" -z --zc="+z, ownChecksum)
		}
		for v := 27; v < 32; v++ {
			add(fmt.Sprintf("protocol %d and checksum %s", v, a), fmt.Sprintf("--protocol=%d --cc=%s", v, a), ownProtocol)
		}
	}
	for _, z := range compressions {
		for v := 27; v < 32; v++ {
			add(fmt.Sprintf("protocol %d and compress %s", v, z), fmt.Sprintf("--protocol=%d -z --zc=%s", v, z), ownProtocol)
		}
		for _, level := range []int{-200_000, -1, 0, 1, 6, 9, 12, 22, 100} {
			add(fmt.Sprintf("compress %s level %d", z, level), fmt.Sprintf("-z --zc=%s --zl=%d", z, level), ownLevel)
		}
	}
	return vs
}

var listName = regexp.MustCompile(`[a-z0-9]+`)

// offered reads a list of `rsync --version`, aliases in parentheses included.
func offered(t *testing.T, title string) []string {
	t.Helper()
	out, err := exec.Command("rsync", "--version").Output()
	check(t, err)
	_, rest, ok := strings.Cut(string(out), title+"\n")
	line, _, _ := strings.Cut(rest, "\n")
	names := listName.FindAllString(line, -1)
	if !ok || len(names) == 0 {
		t.Fatalf("rsync --version has no %q", title)
	}
	return names
}

// suite is a set of command lines and the trees that they are run over.
type suite struct {
	f        *fixture
	commands []command
	howSent  bool // see the scope
}

func suites(t *testing.T) []suite {
	t.Helper()
	rich := newFixture(t)
	daemonConfig(t, rich)
	attrs := newAttrFixture(t)
	// TestDifferential has real connections; here it is the lines that count.
	for _, s := range []*rrtest.Server{rich.servers[1], attrs.servers[0], attrs.servers[1]} {
		check(t, s.Multiplex())
	}
	return []suite{
		{rich, slices.Concat(basicCommands, transferCommands, optionCommands, toolCommands), true},
		{rich, slices.Concat(sourceCommands, deleteCommands, filterCommands, linkCommands, daemonCommands), false},
		{attrs, attrCommands, true},
	}
}

// covers reports whether the variant is for the command of the suite.
func (v variant) covers(s suite, c command) bool {
	switch v.of {
	case howSent:
		return s.howSent
	case sumLines:
		return s.howSent && slices.Contains(sumCommands, c.name)
	}
	return true
}

// tally counts what became of the command lines of a variant.
type tally struct {
	compared, failed atomic.Int64 // failed: with the same exit code, not 0
	own, unfit       int          // left out, see variant.own and unfit
}

// TestInterop runs the command lines of the differential tests in all
// variants. The build tag long runs each; without it, one in interopStride.
// It prints how many were compared.
func TestInterop(t *testing.T) {
	all := suites(t)
	turn, total := 0, int64(0)
	for _, v := range variants(t) {
		var n tally
		t.Run(v.name, func(t *testing.T) {
			for _, s := range all {
				for _, c := range s.commands {
					c.line = v.words + " " + c.line
					switch turn++; {
					case !v.covers(s, c) || turn%interopStride != 0:
					case v.own != nil && v.own.MatchString(strings.TrimPrefix(c.line, v.words)):
						n.own++
					case unfit.MatchString(c.line):
						n.unfit++
					default:
						v.run(t, s.f, c, &n)
					}
				}
			}
		})
		total += n.compared.Load()
		if interopStride == 1 && n.compared.Load() > 0 {
			fmt.Printf("%-36s %4d compared, %3d of them ended alike in an error; left out: %2d choose themselves, %d are unfit\n",
				v.name, n.compared.Load(), n.failed.Load(), n.own, n.unfit)
		}
	}
	fmt.Printf("interop: %d command lines compared\n", total)
}

// run compares one command line.
func (v variant) run(t *testing.T, f *fixture, c command, n *tally) {
	client := v.client
	if client == "" {
		client = "rsync"
	}
	c.opt |= anyOrder // two processes print; TestDifferential compares the order
	t.Run(c.name, func(t *testing.T) {
		t.Parallel()
		if code := f.compare(t, c, client); code != 0 {
			n.failed.Add(1)
		}
		n.compared.Add(1)
	})
}
