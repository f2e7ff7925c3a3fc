package argv

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/rsyncproto/wire"
)

// readDaemon reads what follows the module's acceptance.
func readDaemon(v wire.Version, stream string) (*Pull, *Refusal, error) {
	p, err := Parse("rsync --server --daemon .")
	if err != nil || !p.Daemon {
		return nil, nil, errors.Join(err, errors.New("not a daemon's command line"))
	}
	refusal, err := p.ReadDaemon(wire.NewReader(strings.NewReader(stream)), v, "data", nil)
	return p, refusal, err
}

func TestReadDaemon(t *testing.T) {
	for name, c := range map[string]struct {
		v      wire.Version
		stream string
		want   []string // arguments
		code   Code     // of the refusal
	}{
		"NUL":            {30, "--server\x00--sender\x00-re.iLsf\x00.\x00data/a b\x00data/c\x00\x00", []string{"a b", "c"}, ""},
		"LF":             {29, "--server\n--sender\n-r\n.\ndata/a b\ndata/c\n\n", []string{"a b", "c"}, ""},
		"module":         {31, "--sender\x00-d\x00.\x00data/\x00\x00", []string{"."}, ""},
		"module alone":   {31, "--sender\x00-d\x00.\x00data\x00\x00", []string{"."}, ""},
		"no argument":    {31, "--sender\x00-d\x00.\x00\x00", nil, ""},
		"slashes":        {31, "--sender\x00-d\x00.\x00data//a//b/\x00\x00", []string{"a//b/"}, ""},
		"without module": {31, "--sender\x00-d\x00.\x00data/a\x00b/c\x00/d\x00database/e\x00\x00", []string{"a", "b/c", "d", "database/e"}, ""},
		"several in one": {29, "--sender\n-d\n.\ndata/a data/b c data/\n\n", []string{"a", "b c", "."}, ""},
		"a quoted blank": {32, "--sender\x00-d\x00.\x00data/a[ ]data/b\x00\x00", []string{"a[ ]data/b"}, ""},
		"shell syntax":   {32, "--sender\x00-d\x00.\x00data/$(a);{b,c}'~\"\x00\x00", []string{"$(a);{b,c}'~\""}, ""},
		"secluded":       {32, "--sender\x00-sr\x00\x00rsync\x00--numeric-ids\x00.\x00data/a\x00\x00", []string{"a"}, ""},
		"secluded, null": {28, "--sender\n-sr\n(null)\n.\ndata/x\n\nrsync\x00.\x00data/a\x00\x00", []string{"a"}, ""},
		"push":           {32, "-r\x00.\x00data/\x00\x00", []string{"."}, CodeReadOnly},
		"secluded push":  {32, "-sr\x00\x00rsync\x00.\x00data/\x00\x00", []string{"."}, CodeReadOnly},
		"option":         {32, "--sender\x00--bogus\x00.\x00data/a\x00\x00", []string{"a"}, CodeOption},
		"later option":   {32, "--sender\x00-s\x00\x00rsync\x00--log-file=x\x00.\x00data/a\x00\x00", []string{"a"}, CodeOption},
		"daemon again":   {32, "--sender\x00--daemon\x00.\x00data/a\x00\x00", []string{"a"}, CodeOption},
	} {
		p, refusal, err := readDaemon(c.v, c.stream)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, w := range p.Args {
			got = append(got, w.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: arguments (-want +got):\n%s", name, diff)
		}
		if refusal == nil && c.code != "" || refusal != nil && refusal.Code != c.code {
			t.Errorf("%s: refusal %v, want %q", name, refusal, c.code)
		}
	}
}

func TestReadDaemonBounds(t *testing.T) {
	long := strings.Repeat("x", MaxArg+1)
	for name, c := range map[string]struct {
		v      wire.Version
		stream string
	}{
		"end of stream":        {32, "--sender\x00.\x00"},
		"no list of secluded":  {32, "--sender\x00-s\x00\x00"},
		"long argument":        {32, "--sender\x00.\x00" + long + "\x00\x00"},
		"long line":            {29, "--sender\n.\n" + long + "\n\n"},
		"NUL in a line":        {29, "--sender\n.\na\x00b\n\n"},
		"too many arguments":   {32, strings.Repeat("a\x00", MaxArgs+1) + "\x00"},
		"too many bytes":       {32, strings.Repeat(long[1:]+"\x00", maxSecluded/MaxArg+1) + "\x00"},
		"too many of secluded": {32, "-s\x00\x00" + strings.Repeat("a\x00", MaxArgs+1) + "\x00"},
	} {
		if p, refusal, err := readDaemon(c.v, c.stream); err == nil {
			t.Errorf("%s: no error, %v, %d arguments", name, refusal, len(p.Args))
		}
	}
}

// Clients name their own character set to a daemon, not the daemon's.
func TestDaemonIconv(t *testing.T) {
	for stream, want := range map[string]string{
		"--sender\x00-r\x00--iconv=latin1\x00.\x00data/a\x00\x00":               ".",
		"--sender\x00-s\x00\x00rsync\x00--iconv=latin1\x00.\x00data/a\x00\x00":  ".",
		"--sender\x00-r\x00.\x00data/a\x00\x00":                                 "",
		"--sender\x00-r\x00--iconv=latin1\x00--no-iconv\x00.\x00data/a\x00\x00": "",
	} {
		if p, refusal, err := readDaemon(32, stream); err != nil || refusal != nil || p.Iconv != want {
			t.Errorf("%q: %q, want %q; %v %v", stream, p.Iconv, want, refusal, err)
		}
	}
}

// Arguments of a daemon have wildcards by rsync's rules, and no braces, tilde
// or quotes.
func TestDaemonExpand(t *testing.T) {
	p, _, err := readDaemon(32, "--sender\x00-r\x00.\x00data/*.txt\x00~\x00{a,b}.txt\x00none*\x00\x00")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "c"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := p.Expand(dirTree(dir))
	if diff := cmp.Diff([]string{"a.txt", "b.txt", "~", "{a,b}.txt", "none*"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
