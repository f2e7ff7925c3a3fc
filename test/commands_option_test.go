package test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// optionCommands are options that stand in no other line: most never leave the
// client, and a server must not notice them.
var optionCommands = []command{
	{name: "debug, nothing", line: "-ai --debug=none rr:sub DST/"},
	{name: "inc recursive", line: "-ai --inc-recursive rr: DST/"},
	{name: "super", line: "-ai --super rr:owners DST/"},
	{name: "no super", line: "-ai --no-super rr:owners rr:special DST/"},
	{name: "drop devices", line: "-ai --drop-D rr:special DST/", opt: anyOrder},
	{name: "ignore non-existing", dst: edited, line: "-ai --ignore-non-existing rr: DST/"},
	{name: "insecure links", line: "-ai --insecure-links rr:links DST/"},
	{name: "confine root", line: "-ai --confine-root=DST rr:sub DST/"},
	{name: "copy as", line: "-ai --copy-as=root rr:sub DST/"},
	{name: "write devices", line: "-ai --write-devices rr:special DST/"},
	{name: "contimeout", line: "-ai --contimeout=10 rr:sub DST/"},
	{name: "daemon's options without a daemon", line: "-ai --port=873 --address=127.0.0.1 --sockopts=SO_KEEPALIVE --password-file=AUX/list rr:sub DST/"},
	{name: "address family", line: "-ai -4 rr:sub DST/"},
	{name: "blocking io", line: "-ai --blocking-io rr:sub DST/"},
	{name: "outbuf", line: "-ai --outbuf=L rr:sub DST/"},
	{name: "stop after", line: "-ai --stop-after=60 rr:sub DST/"},
	{name: "stop at", line: "-ai --stop-at=2100-01-01T00:00 rr:sub DST/"},
	{name: "write batch", dst: edited, line: "-ai --no-W --write-batch=DST.batch rr:data rr:sub DST/"},
	{name: "only write batch", line: "-ai --only-write-batch=DST.batch rr:sub DST/"},
	{name: "creation times, which the client lacks", line: "-aiN rr:sub DST/"},
	{name: "progress alone", line: "-a --progress rr:a.txt DST/"},
	{name: "old spelling of dirs", line: "-i --old-d rr:sub/ DST/", opt: anyOrder},
}

// notSent are options of the client that no line can have, and why.
var notSent = map[string]string{
	"help":                "ends the client",
	"version":             "ends the client",
	"ipv6":                "the servers listen on 127.0.0.1",
	"read-batch":          "takes the place of a server",
	"rsh":                 "every line has it",
	"remove-source-files": "would change the tree at the reference, see TestRefusals",
}

var (
	helpOption = regexp.MustCompile(`(?m)^--([a-z0-9-]+)(?:=[^ ,]+)?(?:, --?([A-Za-z0-9@-]+))?`)
	longOption = regexp.MustCompile(`^--([a-z0-9-]+)`)
)

// TestEveryOption demands that each option which the client knows is in a
// command line, so that a new one is noticed.
func TestEveryOption(t *testing.T) {
	used := make(map[string]bool)
	for _, c := range slices.Concat(allCommands(), attrCommands, daemonCommands, toolCommands) {
		for _, w := range splitWords(c.line) {
			if m := longOption.FindStringSubmatch(w); m != nil {
				used[m[1]] = true
			} else if letters, ok := strings.CutPrefix(w, "-"); ok {
				if i := strings.IndexAny(letters, "efBMT@"); i >= 0 {
					letters = letters[:i+1] // what follows is its value
				}
				for _, letter := range strings.ReplaceAll(letters, "a", "arlptgoD") {
					used[string(letter)] = true
				}
			}
		}
	}
	help, err := exec.Command("rsync", "--help").Output()
	check(t, err)
	options := helpOption.FindAllStringSubmatch(string(help), -1)
	if len(options) < 100 {
		t.Fatalf("rsync --help shows only %d options", len(options))
	}
	for _, o := range options {
		if !used[o[1]] && !used[o[2]] && notSent[o[1]] == "" {
			t.Errorf("no command line has --%s", o[1])
		}
	}
}
