package fuzz

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// argvCommands is what clients send, and what they should not.
var argvCommands = []string{
	"rsync --server --sender -logDtpre.iLsfxCIvu . /srv/tree/d/",
	"rsync --server --sender -vlogDtprze.iLsfxC --numeric-ids --timeout=60 . *",
	"sudo -n /usr/bin/rsync --server --sender -de.LsfxCIvu --list-only --checksum-seed=1 . a\\ b 'c d' \"e\\\"f\"",
	"rsync --server --sender -logDtpRe.Lsf --files-from=- --from0 . ~/",
	"rsync --server --sender -g -l -o -p -D -r -t --suffix SFX --backup-dir . . {a,b{1,2}}/*.t[xa-c]t",
	"rsync --server --sender -slogDtpre.iLsfxCIvu",
	"rsync --server --sender -zz --zl=3 --zc=zstd --cc=xxh3,md5 --skip-compress=gz/zip . .",
	"rsync --server --sender -e31.14iL --protocol=29 . [[:alpha:]!]* [!]a-]? ./*/",
	"rsync --server -logDtpre.iLsfxCIvu . dst",
	"rsync --server --daemon .",
	"rsync --server --sender -X --iconv=utf8 . d",
	"rsync --server --sender -r . $(id) `id`; rm",
	"true",
	"rsync --server --sender . ../../etc",
	"rsync -av src/ dst/", "rsync --server --sender -r -- . x", "rsync --server --sender -rY . x", "rsync --server --sender -re", "rsync --server --sender -B 700 --suffix",
	"rsync --server --sender --cc=auto --iconv=- --files-from= -essh . x", "rsync --server --sender --iconv=a, . \"$x\" '", "rsync --server --sender . x\\",
	"rsync --server --sender --files-from=- . a b", "rsync --server --sender --none=" + strings.Repeat("n", 600) + " . '' {}",
}

// FuzzArgvParse holds that a command line becomes a Pull or a complete refusal.
func FuzzArgvParse(f *testing.F) {
	for _, c := range argvCommands {
		f.Add(c)
	}
	for o := range slices.Chunk(argv.Options(), 8) {
		f.Add("rsync --server --sender -r " + long(o, "") + " . x")
		f.Add("rsync --server --sender -r " + long(o, "=1") + " . x")
	}
	f.Fuzz(func(t *testing.T, command string) {
		done := limits{64 << 10, 200}.hold(t, len(command))
		p, err := argv.Parse(command)
		done()
		if again, err2 := argv.Parse(command); !reflect.DeepEqual(again, p) || !reflect.DeepEqual(err2, err) {
			t.Errorf("%q: %+v, %v, and the second time %+v, %v", command, p, err, again, err2)
		}
		if err != nil {
			checkArgvRefusal(t, err)
			return
		}
		if p.Protocol != 0 && (p.Protocol < int(wire.MinVersion) || p.Protocol > int(wire.MaxVersion)) {
			t.Errorf("%q: protocol %d", command, p.Protocol)
		}
		if p.Timeout < 0 || p.BWLimit < 0 || len(p.Args) > argv.MaxWords {
			t.Errorf("%q: %+v", command, p)
		}
		if !p.Daemon && !strings.Contains(command, "sender") {
			t.Errorf("%q: accepted as %+v", command, p)
		}
		// A quoted word is one argument and no syntax.
		quoted, err := argv.Parse("rsync --server --sender . '" + strings.ReplaceAll(command, "'", `'\''`) + "'")
		if err == nil && (len(quoted.Args) != 1 || quoted.Args[0].String() != command) {
			t.Errorf("%q quoted is %q", command, quoted.Args)
		}
	})
}

// long spells options out, each with the end given.
func long(options []argv.Option, end string) string {
	var words []string
	for _, o := range options {
		for _, name := range o.Names {
			words = append(words, "--"+name+end)
		}
	}
	return strings.Join(words, " ")
}

// FuzzArgvSecluded holds the same for arguments on the stream.
func FuzzArgvSecluded(f *testing.F) {
	f.Add([]byte("rsync\x00.\x00/srv/tree/d/\x00\x00 \x00\x00\x00"))
	f.Add([]byte("rsync\x00--files-from=-\x00--from0\x00.\x00a*/[!x]?\\\x00\x00"))
	f.Add([]byte("rsync\x00--log-file=x\x00.\x00\x00"))
	f.Add([]byte("\x00"))
	f.Add([]byte("rsync"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		p, err := argv.Parse("rsync --server --sender -sre.iLsfxCIvu")
		if err != nil {
			t.Fatal(err)
		}
		done := limits{128 << 10, 200}.hold(t, len(stream))
		r := wire.NewReader(strings.NewReader(string(stream)))
		err = p.ReadSecluded(r, nil)
		done()
		if err != nil {
			if r.Err() == nil {
				checkArgvRefusal(t, err)
			}
			return
		}
		checkArgvExpanded(t, p)
	})
}

// FuzzArgvExpand holds that arguments become a bounded number of usable names that
// exist or were asked for literally.
func FuzzArgvExpand(f *testing.F) {
	for _, c := range argvCommands {
		if _, args, ok := strings.Cut(c, " . "); ok {
			f.Add(args)
		}
	}
	for _, args := range []string{
		"[[:alnum:][:blank:]]* [[:cntrl:]] [[:graph:][:lower:]] [[:print:]] [[:punct:]] [[:space:]] [[:upper:][:xdigit:]] [[:digit:]] [[:none:]] [[: []",
		"a/*/../x", "*/*/*", "{a,b}{c,d}{,e}", "~ ~/a ~x", ".* .h*", "*a*a*a*a*b", "[a", "[!a-", `\* "*" '?'`, "a*/./ //x", "''",
		strings.Repeat("{a,b}", 18), strings.Repeat("{", 300), strings.Repeat("*a", 200),
	} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, args string) {
		p, err := argv.Parse("rsync --server --sender -r . " + args)
		if err != nil {
			checkArgvRefusal(t, err)
			return
		}
		checkArgvExpanded(t, p)
		p.Secluded = true
		checkArgvExpanded(t, p)
	})
}

func checkArgvRefusal(t *testing.T, err error) {
	t.Helper()
	r, ok := errors.AsType[*argv.Refusal](err)
	if !ok {
		t.Fatalf("%v is not a refusal", err)
	}
	if !slices.Contains([]int{1, 2, 127}, r.Status) || !strings.Contains(r.Text, "["+string(r.Code)+"]") {
		t.Errorf("incomplete refusal: %+v", r)
	}
	if len(r.Text) > 1000 || !strings.HasSuffix(r.Text, "\n") || !utf8.ValidString(r.Text) ||
		strings.ContainsFunc(r.Text, func(c rune) bool { return c < ' ' && c != '\n' || c == 127 }) {
		t.Errorf("text unfit for a terminal: %q", r.Text)
	}
}

func checkArgvExpanded(t *testing.T, p *argv.Pull) {
	t.Helper()
	// 100000 names, and the words and patterns in between. All but the names are
	// short-lived.
	done := limits{256 << 20, 0}.hold(t, 0)
	names, err := p.Expand(argvTree{})
	done()
	if err != nil {
		checkArgvRefusal(t, err)
		return
	}
	if len(names) == 0 || len(names) > argv.MaxArgs || p.FilesFrom && len(names) != 1 {
		t.Fatalf("%d names", len(names))
	}
	for _, name := range names {
		if name == "" || len(name) > argv.MaxArg {
			t.Errorf("a name of %d bytes", len(name))
		}
		if _, err := vfs.ParsePath(name); err != nil && !errors.Is(err, vfs.ErrTooLong) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// argvTree is a tree whose directories a, b and .h hold the same names down to
// the fourth level; l is a link to a directory, x a file.
type argvTree struct{}

var argvTreeNames = []vfs.Info{
	{Name: "b", Mode: vfs.ModeDir}, {Name: "a", Mode: vfs.ModeDir}, {Name: ".h", Mode: vfs.ModeDir},
	{Name: "l", Mode: vfs.ModeSymlink}, {Name: "x", Mode: vfs.ModeRegular}, {Name: strings.Repeat("a", 255), Mode: vfs.ModeRegular},
	{Name: "x y'\"\\*[?", Mode: vfs.ModeRegular}, {Name: "\xff\n", Mode: vfs.ModeRegular}, {Name: "bad", Err: vfs.ErrName},
}

var errArgvNone = errors.New("no such file or directory")

func (argvTree) Lstat(p vfs.Path) (vfs.Info, error) {
	if p.IsRoot() {
		return vfs.Info{Mode: vfs.ModeDir}, nil
	}
	parts := strings.Split(p.String()[1:], "/")
	var info vfs.Info
	for i, part := range parts {
		at := slices.IndexFunc(argvTreeNames, func(n vfs.Info) bool { return n.Name == part && n.Err == nil })
		if at < 0 || len(parts) > 4 {
			return vfs.Info{}, errArgvNone
		}
		info = argvTreeNames[at]
		last := i == len(parts)-1
		if info.Type() == vfs.ModeSymlink && (!last || p.Follows()) {
			info.Mode = vfs.ModeDir
		}
		if !last && !info.IsDir() {
			return vfs.Info{}, errArgvNone
		}
	}
	return info, nil
}

func (s argvTree) ReadDir(p vfs.Path, _ []vfs.Info) ([]vfs.Info, error) {
	if info, err := s.Lstat(p); err != nil || !info.IsDir() || strings.Count(p.String(), "/") >= 4 {
		return nil, errArgvNone
	}
	return argvTreeNames, nil
}
