package argv

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rrserve/internal/rsyncproto/wire"
)

func wantRefusal(t *testing.T, command string, status int, code Code, text string) {
	t.Helper()
	_, err := Parse(command)
	checkRefusal(t, command, err, &Refusal{status, code, text})
}

func checkRefusal(t *testing.T, command string, err error, want *Refusal) {
	t.Helper()
	got, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Errorf("%q: error %v, not a refusal", command, err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q (-want +got):\n%s", command, diff)
	}
}

// summary is a Pull with its arguments as strings.
func parse(t *testing.T, command string) (*Pull, []string) {
	t.Helper()
	p, err := Parse(command)
	if err != nil {
		t.Fatalf("%q: %v", command, err)
	}
	return p, texts(p.Args)
}

func texts(words []Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.String())
	}
	return out
}

var comparePulls = cmp.Options{
	cmpopts.IgnoreUnexported(Pull{}),
	cmpopts.IgnoreFields(Pull{}, "Args", "Program"),
}

func TestParse(t *testing.T) {
	const caps = "iLsfxCIvu"
	archive := func(change func(p *Pull)) Pull {
		p := Pull{Recurse: true, Dirs: true, Links: true, Owner: true, Group: true, Devices: true, Specials: true}
		change(&p)
		return p
	}
	tests := []struct {
		command string
		want    Pull
		args    []string
	}{
		{"rsync --server --sender -logDtpre.iLsfxCIvu . /srv/tree/d/",
			archive(func(p *Pull) { p.Caps = caps }), []string{"/srv/tree/d/"}},
		{"rsync --server --sender -logDtprze.iLsfxC . *",
			archive(func(p *Pull) { p.Caps = "iLsfxC"; p.Compress = true }), []string{"*"}},
		{"rsync --server --sender -logDtpr . b/",
			archive(func(p *Pull) {}), []string{"b/"}},
		{"rsync --server --sender -vnlogDtpr . b/",
			archive(func(p *Pull) { p.Verbose = 1; p.DryRun = true }), []string{"b/"}},
		{"rsync --server --sender -lHogDtprce.iLsfxCIvu --checksum-seed=1 . x/",
			archive(func(p *Pull) { p.Caps = caps; p.HardLinks = true; p.Checksum = true; p.ChecksumSeed = 1 }), []string{"x/"}},
		{"rsync --server --sender -logDtpr --numeric-ids . z/",
			archive(func(p *Pull) { p.NumericIDs = true }), []string{"z/"}},
		{"rsync --server --sender -logDtprRe.iLsfxCIvu . a/b/c/f3 a/f1",
			archive(func(p *Pull) { p.Caps = caps; p.Relative = true }), []string{"a/b/c/f3", "a/f1"}},
		{"rsync --server --sender -logDtpRe.LsfxCIvu --checksum-seed=1 --files-from=- --from0 . d",
			archive(func(p *Pull) {
				p.Caps = "LsfxCIvu"
				p.Recurse = false
				p.Relative, p.FilesFrom, p.From0, p.ChecksumSeed = true, true, true, 1
			}), []string{"d"}},
		{"rsync --server --sender -lo --files-from sub/li\\ st . d",
			Pull{Links: true, Owner: true, Dirs: true, Relative: true, FilesFrom: true, FilesFromPath: "sub/li st"}, []string{"d"}},
		{"rsync --server --sender -l --files-from=/list --from0 . d",
			Pull{Links: true, Dirs: true, Relative: true, FilesFrom: true, FilesFromPath: "/list", From0: true}, []string{"d"}},
		{"rsync --server --sender -N . d", Pull{CRTimes: true}, []string{"d"}},
		{"rsync --server --sender --crtimes --no-N . d", Pull{}, []string{"d"}},
		{"rsync --server --sender -X --fake-super . d", Pull{Xattrs: 1, FakeSuper: true}, []string{"d"}},
		{"rsync --server --sender --super --fake-super . d", Pull{FakeSuper: true}, []string{"d"}},
		{"rsync --server --sender -XX --fake-super --super . d", Pull{Xattrs: 2}, []string{"d"}},
		{"rsync --server --sender --fake-super --no-super . d", Pull{}, []string{"d"}},
		{"rsync --server --sender -l --iconv=iso88591 . d", Pull{Links: true, Iconv: "iso88591"}, []string{"d"}},
		{"rsync --server --sender -l --iconv=a,b . d", Pull{Links: true, Iconv: "b"}, []string{"d"}},
		{"rsync --server --sender -l --iconv=. . d", Pull{Links: true, Iconv: "."}, []string{"d"}},
		{"rsync --server --sender -l --iconv= . d", Pull{Links: true, Iconv: "."}, []string{"d"}},
		{"rsync --server --sender -l --iconv=a --iconv=- . d", Pull{Links: true}, []string{"d"}},
		{"rsync --server --sender -l --iconv=a --no-iconv . d", Pull{Links: true}, []string{"d"}},
		{"rsync --server --sender -logDtp --files-from - --no-relative --no-dirs . d",
			archive(func(p *Pull) { p.Recurse, p.Dirs, p.FilesFrom = false, false, true }), []string{"d"}},
		{"rsync --server --sender -de.LsfxCIvu --list-only --checksum-seed=-7 . d/",
			Pull{Dirs: true, ListOnly: true, Caps: "LsfxCIvu", ChecksumSeed: -7}, []string{"d/"}},
		{"rsync --server --sender --list-only . d/", Pull{Dirs: true, ListOnly: true}, []string{"d/"}},
		{"rsync --server --sender -g -l -o -p -D -r -t . d/",
			archive(func(p *Pull) {}), []string{"d/"}},
		{"rsync --server --sender --delete-before -g -l -o -p -D -r -t --relative . dir/",
			archive(func(p *Pull) { p.Relative = true }), []string{"dir/"}},
		{"rsync --server --sender -8 -r --max-size=10 --suffix SFX --backup-dir . -b . -x",
			Pull{Recurse: true, Dirs: true, Backup: true}, []string{"-x"}},
		{"rsync --server --sender -r -B2048 -@-1 . d", Pull{Recurse: true, Dirs: true}, []string{"d"}},
		{"rsync --server --sender -B 2048 -@ -1 -e .iL -r . d", Pull{Recurse: true, Dirs: true, Caps: "iL"}, []string{"d"}},
		{"rsync --server --sender . f", Pull{}, []string{"f"}},
		{"rsync --server --sender -r .", Pull{Recurse: true, Dirs: true}, nil},
		{"rsync --server --sender . -- -r .", Pull{}, []string{"--", "-r", "."}},
		{"rsync --server --sender -r -- . a", Pull{Recurse: true, Dirs: true}, []string{"a"}},
		{"rsync --server --sender -slHogDtprce.iLsf",
			archive(func(p *Pull) { p.Secluded, p.HardLinks, p.Checksum, p.Caps = true, true, true, "iLsf" }), nil},
		{"rsync --server --sender -vvqne.iLsfxCIvu --append --append --inplace --timeout=72000 --bwlimit=512 . d",
			Pull{Verbose: 2, Quiet: true, DryRun: true, Caps: caps, Append: 2, Inplace: true, Timeout: 72000, BWLimit: 512}, []string{"d"}},
		{"rsync --server --sender -xxUULkC --copy-unsafe-links --no-implied-dirs --ignore-errors . d",
			Pull{OneFileSystem: 2, ATimes: 2, CopyLinks: true, CopyDirLinks: true, CVSExclude: true,
				CopyUnsafeLinks: true, NoImpliedDirs: true, IgnoreErrors: true}, []string{"d"}},
		{"rsync --server --sender -xxxxUUU --delete-missing-args --ignore-missing-args --open-noatime . d",
			Pull{OneFileSystem: 2, ATimes: 2, DeleteMissingArgs: true, IgnoreMissingArgs: true, OpenNoATime: true}, []string{"d"}},
		{"rsync --server --sender -D --no-specials --checksum-choice=xxh3,md5 --new-compress . d",
			Pull{Devices: true, ChecksumChoice: "xxh3,md5", NewCompress: true}, []string{"d"}},
		{"rsync --server --sender --cc auto --zc=zstd --zl=-3 --skip-compress=gz/jpg//zip . d",
			Pull{CompressChoice: "zstd", CompressLevel: -3, CompressLevelGiven: true, SkipCompress: []string{"gz", "jpg", "zip"}}, []string{"d"}},
		{"rsync --server --sender --skip-compress= -zz . d",
			Pull{Compress: true, NewCompress: true, SkipCompress: []string{}}, []string{"d"}},
		{"rsync --server --sender -z --no-z --old-compress . d", Pull{OldCompress: true}, []string{"d"}},
		{"rsync --server --sender --protocol=29 -r . d", Pull{Recurse: true, Dirs: true, Protocol: 29}, []string{"d"}},
		{"rsync --server --sender --protocol=40 . d", Pull{Protocol: 32}, []string{"d"}},
		{"rsync --server --sender -e32.1iL . d", Pull{Protocol: 31, Caps: "iL"}, []string{"d"}},
		{"rsync --server --sender -e31.0iL . d", Pull{Caps: "iL"}, []string{"d"}},
		{"rsync --server --sender -e31.14iL . d", Pull{Protocol: 30, Caps: "iL"}, []string{"d"}},
		{"rsync --server --sender -e33.2iL . d", Pull{Caps: "iL"}, []string{"d"}},
		{"rsync --server --sender -re.iLs --use-qsort . d", Pull{Recurse: true, Dirs: true, Caps: "iLs", NoIncRecurse: true}, []string{"d"}},
		{"rsync --server --sender '-r' \"--list-only\" . 'a b' c\\ d \"e f\"", Pull{Recurse: true, Dirs: true, ListOnly: true}, []string{"a b", "c d", "e f"}},
		{"rsync --server -r --sender . d", Pull{Recurse: true, Dirs: true}, []string{"d"}},
		{"rsync --server --sender -r --modify-window=1 --info=NAME2,MISC2 --no-msgs2stderr --max-alloc 1G --debug=ALL4 . d", Pull{Recurse: true, Dirs: true}, []string{"d"}},
	}
	for _, test := range tests {
		got, args := parse(t, test.command)
		if diff := cmp.Diff(test.want, *got, comparePulls); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.command, diff)
		}
		if diff := cmp.Diff(test.args, args); diff != "" {
			t.Errorf("%s: arguments (-want +got):\n%s", test.command, diff)
		}
	}
}

func TestProgram(t *testing.T) {
	for _, program := range []string{
		"rsync", "/usr/bin/rsync", "/opt/my\u00a0x/rsync", "sudo rsync", "sudo -n /usr/bin/rsync",
		"nice -n 19 ionice -c3 rsync", "env LC_ALL=C rsync", "./rsync", `"/opt/a b/rsync"`,
	} {
		p, _ := parse(t, program+" --server --sender -r . d")
		if !p.Recurse || !strings.HasSuffix(p.Program, "rsync") {
			t.Errorf("%s: %+v", program, p)
		}
	}
	if p, _ := parse(t, "sudo  -n 'r\x1b'/rsync --server --sender . d"); p.Program != `sudo -n r\#033/rsync` {
		t.Errorf("program is %q", p.Program)
	}
}

func TestRefusals(t *testing.T) {
	const (
		pull  = "rsync --server --sender "
		usage = "rsync error: syntax or usage error (code 1) [server=rrserve]\n"
	)
	option := func(s string) string { return "rsync: on remote machine: " + s + " [E-OPTION]\n" + usage }
	shell := func(s string) string {
		return "rrserve: " + s + " is shell syntax, and no shell runs here: put a backslash before it if it belongs to a name [E-QUOTE]\n"
	}
	notFound := func(s string) string {
		return "rrserve: " + s + ": command not found, only rsync is served here: rsync -a USER@HOST:PATH DEST [E-COMMAND]\n"
	}
	const push = "rrserve: sending to read-only server not allowed [E-RO]\n"
	const daemon = "rrserve: a daemon answers to nothing but: rsync --server --daemon . [E-DAEMON]\n"
	tests := []struct {
		command string
		status  int
		code    Code
		text    string
	}{
		{"rsync --server -logDtpre.iLsfxCIvu . dst", 1, CodeReadOnly, push},
		{"rsync --server -r --log-file=x --no-such . --sender", 1, CodeReadOnly, push},
		{"sudo rsync --server -r --delete . dst", 1, CodeReadOnly, push},
		{"rsync --server", 1, CodeReadOnly, push},
		{"rsync --server --daemon", 1, CodeDaemon, daemon},
		{"rsync --server --daemon --config=x .", 1, CodeDaemon, daemon},
		{"rsync --server --sender --daemon .", 1, CodeDaemon, daemon},
		{pull + "-r --foo . d", 1, CodeOption, option("--foo: unknown option")},
		{pull + "-r --foo=bar . d", 1, CodeOption, option("--foo: unknown option")},
		{pull + "--recurs . d", 1, CodeOption, option("--recurs: unknown option")},
		{pull + "-XX --fake-super . d", 1, CodeOption, option("--fake-super: refused: it conflicts with -XX")},
		{pull + "-rYl . d", 1, CodeOption, option("-Y: unknown option")},
		{pull + "-r=3 . d", 1, CodeOption, option("-=: unknown option")},
		{pull + "--recursive=x . d", 1, CodeOption, option("--recursive=x: option does not take an argument")},
		{pull + "--suffix", 1, CodeOption, option("--suffix: missing argument")},
		{pull + "-re", 1, CodeOption, option("-e: missing argument")},
		{pull + "-r src", 1, CodeOption, option("src: expected an option, or . before the arguments")},
		{pull + "-r - . d", 1, CodeOption, option("-: expected an option, or . before the arguments")},
		{pull + "--timeout=x . d", 1, CodeOption, option("--timeout=x: invalid numeric value")},
		{pull + "--timeout=-1 . d", 1, CodeOption, option("--timeout=-1: invalid numeric value")},
		{pull + "--timeout 99999999999 . d", 1, CodeOption, option("--timeout=99999999999: invalid numeric value")},
		{pull + "--bwlimit=1.5 . d", 1, CodeOption, option("--bwlimit=1.5: invalid numeric value")},
		{pull + "--checksum-seed=4294967296 . d", 1, CodeOption, option("--checksum-seed=4294967296: invalid numeric value")},
		{pull + "--compress-level= . d", 1, CodeOption, option("--compress-level=: invalid numeric value")},
		{pull + "--files-from= . d", 1, CodeOption, option("--files-from=: a file name is missing")},
		{pull + "-essh . d", 1, CodeOption, option("-essh: refused: this server runs no programs")},
		{pull + "-e ./x . d", 1, CodeOption, option("-e./x: refused: this server runs no programs")},
		{pull + "-e.iL_s . d", 1, CodeOption, option("-e.iL_s: refused: this server runs no programs")},
		{pull + "-e3x.iL . d", 1, CodeOption, option("-e3x.iL: refused: this server runs no programs")},
		{pull + "-r --copy-devices . d", 1, CodeOption, option("--copy-devices: refused: the contents of devices are not served")},
		{pull + "-r --remove-source-files . d", 1, CodeOption, option("--remove-source-files: refused: this server is read-only")},
		{pull + "-fx . d", 1, CodeOption, option("-f: refused: filter rules come with the transfer, not on the command line")},
		{pull + "'--a\x1b[2Jb' . d", 1, CodeOption, option(`--a\#033[2Jb: unknown option`)},
		{pull + "--protocol=26 . d", 2, CodeOption, "--protocol must be at least 27 on the Server. [E-OPTION]\nrsync error: protocol incompatibility (code 2) [server=rrserve]\n"},
		{pull + "-r . $HOME", 1, CodeQuote, shell("$")},
		{pull + "-r . `id`", 1, CodeQuote, shell("`")},
		{pull + "-r . \"$HOME\"", 1, CodeQuote, shell("$")},
		{pull + "-r . a; rm -rf x", 1, CodeQuote, shell(";")},
		{pull + "-r . a && b", 1, CodeQuote, shell("&")},
		{pull + "-r . a | b", 1, CodeQuote, shell("|")},
		{pull + "-r . a < b", 1, CodeQuote, shell("<")},
		{pull + "-r . a > b", 1, CodeQuote, shell(">")},
		{pull + "-r . (a", 1, CodeQuote, shell("(")},
		{pull + "-r . a)", 1, CodeQuote, shell(")")},
		{pull + "-r . a\nb", 1, CodeQuote, shell("a line feed")},
		{pull + "-r . a\x00b", 1, CodeQuote, shell("a NUL byte")},
		{pull + "-r . a\\\x00b", 1, CodeQuote, shell("a NUL byte")},
		{pull + "-r . #a", 1, CodeQuote, shell("#")},
		{pull + "-r . 'a", 1, CodeQuote, "rrserve: a quote (') is not closed [E-QUOTE]\n"},
		{pull + "-r . \"a", 1, CodeQuote, "rrserve: a quote (\") is not closed [E-QUOTE]\n"},
		{pull + "-r . \"a\\\"", 1, CodeQuote, "rrserve: a quote (\") is not closed [E-QUOTE]\n"},
		{"cd /x && rsync --server --sender . d", 1, CodeQuote, shell("&")},
		{"true", 127, CodeCommand, notFound("true")},
		{"echo $HOME", 127, CodeCommand, notFound("echo")},
		{"[ -d /x ]", 127, CodeCommand, notFound("[")},
		{"  scp -f /etc/passwd", 127, CodeCommand, notFound("scp")},
		{"sh -c 'rsync --server --sender . d'", 127, CodeCommand, notFound("sh")},
		{"xrsync --server --sender . d", 127, CodeCommand, notFound("xrsync")},
		{"rsync.sh --server --sender . d", 127, CodeCommand, notFound("rsync.sh")},
		{"--server --sender . d", 127, CodeCommand, notFound("--server")},
		{"rsync -x --server --sender . d", 1, CodeCommand, "rrserve: rsync runs here only at the other end of a pull: rsync -a USER@HOST:PATH DEST [E-COMMAND]\n"},
		{"rsync --version", 1, CodeCommand, "rrserve: rsync runs here only at the other end of a pull: rsync -a USER@HOST:PATH DEST [E-COMMAND]\n"},
		{"", 127, CodeCommand, "rrserve: no shell runs here, only rsync is served: rsync -a USER@HOST:PATH DEST [E-COMMAND]\n"},
		{pull + strings.Repeat("a ", MaxWords), 1, CodeLimit, "rrserve: more than 1000 words on the command line [E-LIMIT]\n"},
		{pull + strings.Repeat("a", MaxCommand), 1, CodeLimit, "rrserve: the command line is longer than 262144 bytes [E-LIMIT]\n"},
	}
	for _, test := range tests {
		wantRefusal(t, test.command, test.status, test.code, test.text)
	}
}

// A long or hostile word is shortened before it is repeated.
func TestRefusalTextIsBounded(t *testing.T) {
	_, err := Parse("rsync --server --sender --" + strings.Repeat("\x01", 5000) + " . d")
	r, ok := errors.AsType[*Refusal](err)
	if !ok || len(r.Text) > 400 {
		t.Fatalf("%d bytes: %v", len(r.Text), err)
	}
}

func TestWantsCompression(t *testing.T) {
	tests := []struct {
		options  string
		wants    bool
		explicit string
	}{
		{"-r", false, ""},
		{"-z", true, ""},
		{"-zz", true, "zlibx"},
		{"--compress-level=3", true, ""},
		{"--new-compress", true, "zlibx"},
		{"-z --old-compress", true, "zlib"},
		{"--compress-choice=lz4", true, "lz4"},
		{"-z --compress-choice=NONE", false, "NONE"},
		{"-z --compress-choice=auto", true, ""},
		{"-z --no-z", false, ""},
	}
	for _, test := range tests {
		p, _ := parse(t, "rsync --server --sender "+test.options+" . d")
		if p.WantsCompression() != test.wants || p.ExplicitCompress() != test.explicit {
			t.Errorf("%s: %t %q", test.options, p.WantsCompression(), p.ExplicitCompress())
		}
	}
}

func TestIncRecurse(t *testing.T) {
	for options, want := range map[string]bool{
		"-re.iLsf":                    true,
		"-re.Lsf":                     false,
		"-e.iLsf":                     false,
		"-re.iLsf --no-inc-recursive": false,
		"-re.iLsf --qsort":            false,
		"-r":                          false,
	} {
		if p, _ := parse(t, "rsync --server --sender "+options+" . d"); p.IncRecurse() != want {
			t.Errorf("%s: %t", options, !want)
		}
	}
}

func TestReadSecluded(t *testing.T) {
	tests := []struct {
		command, stream string
		want            Pull
		args            []string
	}{
		{"rsync --server --sender -slogDtpre.iLsfxCIvu", "rsync\x00.\x00/srv/tree/d/\x00\x00\x20\x00\x00\x00",
			Pull{Secluded: true, Recurse: true, Dirs: true, Links: true, Owner: true, Group: true, Devices: true, Specials: true, Caps: "iLsfxCIvu"},
			[]string{"/srv/tree/d/"}},
		{"rsync --server --sender -se.LsfxCIvu", "rsync\x00--files-from=-\x00--from0\x00--checksum-seed=1\x00.\x00it's $HOME `a`;\\*\x00\x00\x20\x00\x00\x00",
			Pull{Secluded: true, Dirs: true, Relative: true, FilesFrom: true, From0: true, ChecksumSeed: 1, Caps: "LsfxCIvu"},
			[]string{"it's $HOME `a`;\\*"}},
		{"rsync --server --sender -sd . dropped", "rsync\x00.\x00-x\x00.\x00a b\x00\x00\x20\x00\x00\x00",
			Pull{Secluded: true, Dirs: true}, []string{"-x", ".", "a b"}},
		{"rsync --server --sender --secluded-args -d", "\x00\x20\x00\x00\x00", Pull{Secluded: true, Dirs: true}, nil},
	}
	for _, test := range tests {
		p, _ := parse(t, test.command)
		r := wire.NewReader(strings.NewReader(test.stream))
		if err := p.ReadSecluded(r, nil); err != nil {
			t.Errorf("%q: %v", test.stream, err)
			continue
		}
		if diff := cmp.Diff(test.want, *p, comparePulls); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.stream, diff)
		}
		if diff := cmp.Diff(test.args, texts(p.Args)); diff != "" {
			t.Errorf("%q: arguments (-want +got):\n%s", test.stream, diff)
		}
		if version := r.Int("version", 0, 255); version != 32 || r.Err() != nil {
			t.Errorf("%q: %d, %v behind the arguments", test.stream, version, r.Err())
		}
	}
}

func TestReadSecludedRefusals(t *testing.T) {
	tests := []struct {
		name   string
		stream []byte
		want   *Refusal // nil: an error of the Reader
	}{
		{"option", []byte("rsync\x00--log-file=x\x00.\x00\x00"),
			refuseOption("--log-file", "refused: "+whyWrites)},
		{"too many", append(bytes.Repeat([]byte("a\x00"), MaxArgs+1), 0), refuse(1, CodeLimit, "more than 100000 arguments or 4194304 bytes of them")},
		{"too much", bytes.Repeat(append(bytes.Repeat([]byte("a"), 4095), 0), 1025), refuse(1, CodeLimit, "more than 100000 arguments or 4194304 bytes of them")},
		{"long string", bytes.Repeat([]byte("a"), 5000), nil},
		{"end", []byte("rsync\x00."), nil},
		{"nothing", nil, nil},
	}
	for _, test := range tests {
		p, _ := parse(t, "rsync --server --sender -sre.iLsf")
		err := p.ReadSecluded(wire.NewReader(bytes.NewReader(test.stream)), nil)
		if test.want != nil {
			checkRefusal(t, test.name, err, test.want)
		} else if _, refusal := errors.AsType[*Refusal](err); err == nil || refusal {
			t.Errorf("%s: error %v", test.name, err)
		}
	}
}

// Strings of secluded arguments are names of the wire's character set.
func TestReadSecludedDecodes(t *testing.T) {
	p, _ := parse(t, "rsync --server --sender -s --iconv=x")
	r := wire.NewReader(strings.NewReader("rsync\x00--files-from\x00a\x00.\x00b\x00\x00"))
	if err := p.ReadSecluded(r, func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "a", "A"), "b", "B") }); err != nil {
		t.Fatal(err)
	}
	if got := texts(p.Args); p.FilesFromPath != "A" || len(got) != 1 || got[0] != "B" {
		t.Errorf("list %q, arguments %q", p.FilesFromPath, got)
	}
}

func TestMungeLinksAndNoAtime(t *testing.T) {
	for _, test := range []struct {
		options                 string
		munge, unasked, noAtime bool
	}{
		{"-l", false, true, false},
		{"--munge-links -U", true, true, false},
		{"--munge-links --no-munge-links -UU", false, false, true},
		{"--open-noatime", false, true, true},
		{"--open-noatime --no-open-noatime", false, true, false},
	} {
		p, _ := parse(t, "rsync --server --sender "+test.options+" . d")
		if p.MungeLinks(false) != test.munge || p.MungeLinks(true) != test.unasked || p.NoAtime() != test.noAtime {
			t.Errorf("%s: munge links %t and %t, no access times %t", test.options, p.MungeLinks(false), p.MungeLinks(true), p.NoAtime())
		}
	}
}
