package argv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/commands.txt holds command lines of rsync 2.6.9 to 3.5.0 and
// openrsync, recorded from sessions with a stock server.
func TestParseRecorded(t *testing.T) {
	data, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) < 50 {
		t.Fatalf("only %d command lines", len(lines))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		options := strings.Join(fields[3:], " ")
		p, err := Parse(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		_, args, _ := strings.Cut(options+" ", " . ")
		if args == "" {
			_, args, _ = strings.Cut(options+" ", ". ")
		}
		if diff := cmp.Diff(strings.Fields(args), append([]string{}, texts(p.Args)...)); diff != "" && !p.Secluded {
			t.Errorf("%s: arguments (-want +got):\n%s", line, diff)
		}
	}
}

// sentBy returns the command line that the installed rsync sends for its
// options and sources, as ssh would pass it on.
func sentBy(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	shell := filepath.Join(dir, "shell")
	script := "#!/bin/sh\nshift\nprintf '%s' \"$*\" >'" + dir + "/sent'\n"
	if err := os.WriteFile(shell, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rsync", append([]string{"-e", shell}, append(args, filepath.Join(dir, "dst"))...)...)
	out, _ := cmd.CombinedOutput() // it fails, nobody answers
	sent, err := os.ReadFile(filepath.Join(dir, "sent"))
	if err != nil {
		t.Fatalf("rsync %q sends nothing: %v\n%s", args, err, out)
	}
	return string(sent)
}

// Options of the installed client arrive as what they mean.
func TestParseWhatRsyncSends(t *testing.T) {
	tests := []struct {
		options string
		want    func(p *Pull) bool
	}{
		{"-a", func(p *Pull) bool {
			return p.Recurse && p.Links && p.Owner && p.Group && p.Devices && p.Specials && p.IncRecurse()
		}},
		{"-rlptgoHxx", func(p *Pull) bool { return p.HardLinks && p.OneFileSystem == 2 && !p.Devices }},
		{"-dLk --copy-unsafe-links", func(p *Pull) bool { return p.Dirs && p.CopyLinks && p.CopyDirLinks && p.CopyUnsafeLinks }},
		{"-rcCn --numeric-ids", func(p *Pull) bool { return p.Checksum && p.CVSExclude && p.DryRun && p.NumericIDs }},
		{"-rU", func(p *Pull) bool { return p.ATimes == 1 }},
		{"-rR --no-implied-dirs", func(p *Pull) bool { return p.Relative && p.NoImpliedDirs }},
		{"-aD --no-specials", func(p *Pull) bool { return p.Devices && !p.Specials }},
		{"-a --no-D", func(p *Pull) bool { return !p.Devices && !p.Specials }},
		{"-r --specials", func(p *Pull) bool { return p.Specials && !p.Devices }},
		{"-rz", func(p *Pull) bool { return p.WantsCompression() && p.ExplicitCompress() == "" }},
		{"-rzz", func(p *Pull) bool { return p.ExplicitCompress() == "zlibx" }},
		{"-rz --zc=zlib", func(p *Pull) bool { return p.ExplicitCompress() == "zlib" }},
		{"-r --zc=lz4 --cc=xxh3", func(p *Pull) bool { return p.ExplicitCompress() == "lz4" && p.ChecksumChoice == "xxh3" }},
		{"-r --zl=3", func(p *Pull) bool { return p.WantsCompression() && p.CompressLevel == 3 }},
		{"-rz --skip-compress=gz/jpg", func(p *Pull) bool { return len(p.SkipCompress) == 2 && p.SkipCompress[1] == "jpg" }},
		{"-r --append", func(p *Pull) bool { return p.Append == 1 }},
		{"-r --append-verify", func(p *Pull) bool { return p.Append == 2 }},
		{"-r --inplace --backup --backup-dir=b --suffix=~", func(p *Pull) bool { return p.Inplace && p.Backup }},
		{"-r --bwlimit=1m --timeout=60", func(p *Pull) bool { return p.BWLimit == 1024 && p.Timeout == 60 }},
		{"-r --checksum-seed=-3", func(p *Pull) bool { return p.ChecksumSeed == -3 }},
		{"--list-only", func(p *Pull) bool { return p.ListOnly && p.Dirs && !p.Recurse }},
		{"-r --ignore-errors --delete --delete-missing-args", func(p *Pull) bool { return p.IgnoreErrors && p.DeleteMissingArgs }},
		{"-r --ignore-missing-args", func(p *Pull) bool { return p.IgnoreMissingArgs }},
		{"-r --open-noatime", func(p *Pull) bool { return p.OpenNoATime }},
		{"-r --no-i-r", func(p *Pull) bool { return !p.IncRecurse() && p.Caps.Has('v') }},
		{"-rm", func(p *Pull) bool { return !p.IncRecurse() }},
		{"-r --protocol=29", func(p *Pull) bool { return p.Caps == "" }},
		{"-r --files-from=/dev/null", func(p *Pull) bool { return p.FilesFrom && p.Relative && p.Dirs && p.Recurse }},
		{"-a --files-from=/dev/null --no-R --no-d", func(p *Pull) bool { return p.FilesFrom && !p.Relative && !p.Recurse }},
		{"-rs", func(p *Pull) bool { return p.Secluded && len(p.Args) == 0 }},
		{"-rvvh --progress --stats -i -P --info=all --debug=all --out-format=%n --8-bit-output", func(p *Pull) bool { return p.Verbose == 2 }},
		{"-r -M--protocol=30", func(p *Pull) bool { return p.Protocol == 30 }},
		{"-rWISuyKOJE -B2048 -T/tmp --size-only --existing --ignore-existing --max-size=1 --min-size=1 --partial-dir=p --delay-updates " +
			"--link-dest=/x --fsync --preallocate --mkpath --modify-window=1 --chmod=u+x --usermap=a:b --groupmap=a:b --super --force " +
			"--delete-excluded --max-delete=3 --remote-option=--stats --max-alloc=1g --stderr=all --trust-sender --ipv4 " +
			"--exclude=x --filter=-_y --prune-empty-dirs --safe-links --stop-after=9 --compress-threads=2 -F -f-_z", func(p *Pull) bool { return p.Recurse && p.Verbose == 0 }},
	}
	for _, test := range tests {
		sent := sentBy(t, append(strings.Fields(test.options), "host:d")...)
		p, err := Parse(sent)
		if err != nil {
			t.Errorf("%s: %s: %v", test.options, sent, err)
		} else if !test.want(p) {
			t.Errorf("%s: %s: %+v", test.options, sent, p)
		}
	}
}

// A name that the installed client quotes arrives as it is.
func TestExpandWhatRsyncQuotes(t *testing.T) {
	for _, name := range []string{
		"a", "a b", " a", "a ", "it's", `q"d`, "$HOME", "`id`", "a;b", "a&b|c", "<a>", "(a)", "{a,b}", "#a", "!a", "^a", "~", "~user", "a~",
		"-opt", "--server", `a\b`, `a\\b`, `\a`, `a\`, "a\tb", "a\nb", "a\rb", "é", "\xff\xfe", "a=b%c+d@e:f", ".", "/", "/a b/c d/", "./a",
	} {
		want := name
		if strings.HasPrefix(name, "-") {
			want = "./" + name
		}
		sent := sentBy(t, "-r", "host:"+name)
		got, err := expandArgs(argsOnly{}, sent)
		if diff := cmp.Diff([]string{want}, got); err != nil || diff != "" {
			t.Errorf("%q: %s: %v\n%s", name, sent, err, diff)
		}
	}
}

// argsOnly is an empty tree.
type argsOnly struct{ endless }
