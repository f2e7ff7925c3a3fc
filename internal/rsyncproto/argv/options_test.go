package argv

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// rsync runs the installed rsync and returns what it prints. There is no
// session: it is asked for text or meets a command line that it refuses.
func rsync(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("rsync", args...).CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("the reference rsync is needed: %v", err)
	}
	return string(out)
}

// A new release may bring an option: it has to be decided upon here.
func TestTableCoversHelp(t *testing.T) {
	help := rsync(t, "--help")
	long := regexp.MustCompile(`--([a-zA-Z0-9][a-zA-Z0-9-]*)`).FindAllStringSubmatch(help, -1)
	if len(long) < 150 {
		t.Fatalf("only %d long options in the help text", len(long))
	}
	for _, m := range long {
		if m[1] != "no-OPTION" && byName[m[1]] == nil {
			t.Errorf("--%s is not in the table", m[1])
		}
	}
	short := regexp.MustCompile(`(?m)(?:^|, )-([a-zA-Z0-9@])\b`).FindAllStringSubmatch(help, -1)
	short = append(short, []string{"-@", "@"})
	if len(short) < 50 {
		t.Fatalf("only %d short options in the help text", len(short))
	}
	for _, m := range short {
		if byLetter[m[1][0]] == nil {
			t.Errorf("-%s is not in the table", m[1])
		}
	}
}

// lookup finds the row of an option as it is listed, "name" or "-x".
func lookup(name string) *Option {
	if short, ok := strings.CutPrefix(name, "-"); ok {
		return byLetter[short[0]]
	}
	return byName[name]
}

// testdata/rsync-options.txt lists every option that the rsync 3.5.0 server
// knows, undocumented ones included, with "=" for those that take a value: a
// word must not be taken for a value, nor a value for a word.
func TestTableCoversRsyncOptions(t *testing.T) {
	data, err := os.ReadFile("testdata/rsync-options.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(data))
	if len(lines) < 300 {
		t.Fatalf("only %d options in the list", len(lines))
	}
	for _, line := range lines {
		name, isValue := strings.CutSuffix(line, "=")
		switch o := lookup(name); {
		case o == nil:
			t.Errorf("%s is not in the table", name)
		case o.Value != isValue:
			t.Errorf("%s takes a value: table says %t, rsync %t", name, o.Value, isValue)
		}
	}
}

// What the table holds beyond that list comes from older releases.
func TestTableNamesAreReal(t *testing.T) {
	data, err := os.ReadFile("testdata/rsync-options.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"use-qsort": true}
	for _, line := range strings.Fields(string(data)) {
		known[strings.TrimSuffix(line, "=")] = true
	}
	for _, o := range table {
		for _, name := range o.Names {
			if !known[name] {
				t.Errorf("--%s is not an option of rsync", name)
			}
		}
		if o.Short != 0 && !known["-"+string(o.Short)] {
			t.Errorf("-%c is not an option of rsync", o.Short)
		}
	}
}

func TestTableIsWellFormed(t *testing.T) {
	seen := make(map[string]bool)
	for _, o := range Options() {
		all := append([]string(nil), o.Names...)
		if o.Short != 0 {
			all = append(all, string(o.Short))
		}
		if len(all) == 0 {
			t.Errorf("a row without a name: %+v", o)
		}
		for i, name := range all {
			if key := name; seen[key] && i < len(o.Names) {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if (o.Action == Honoured) != (o.Why == "") {
			t.Errorf("%v: a reason belongs to what is not honoured, and to that only", all)
		}
		if o.Action == Honoured && o.set == nil && all[0] != "server" {
			t.Errorf("%v is honoured, but stores nothing", all)
		}
		if o.Action == ReceiverOnly && o.set != nil {
			t.Errorf("%v has no effect, but stores something", all)
		}
	}
}

// Nothing that writes, executes or reads elsewhere is ever accepted.
func TestAlwaysRefused(t *testing.T) {
	for _, name := range strings.Fields(`
		config dparam detach no-detach address port sockopts rsh rsync-path copy-as password-file
		early-input contimeout blocking-io outbuf remote-option remove-source-files remove-sent-files
		log-file log-file-format write-devices write-batch only-write-batch read-batch copy-devices
		exclude-from include-from filter exclude include insecure-links confine-root chmod chown stop-after stop-at`) {
		o := byName[name]
		if o == nil || o.Action != Refused {
			t.Errorf("--%s is not refused", name)
			continue
		}
		word := "--" + name
		if o.Value {
			word += "=x"
		}
		wantRefusal(t, "rsync --server --sender "+word+" -r . x", 1, CodeOption,
			"rsync: on remote machine: --"+name+": refused: "+o.Why+" [E-OPTION]\n"+
				"rsync error: syntax or usage error (code 1) [server=rrserve]\n")
	}
}
