package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"rrserve/internal/rrtest"
)

var quoted = regexp.MustCompile(`'[^']*'`)

// Commands of ours in the documents have subcommands and flags that there are.
func TestDocumentsNameCommands(t *testing.T) {
	root := newCommand(nil)
	root.InitDefaultCompletionCmd()
	found := 0
	for _, name := range rrtest.Documents(t, "../..") {
		code := strings.Join(rrtest.Code(readText(t, "../../"+name)), "\n")
		for line := range strings.SplitSeq(code, "\n") {
			args, ours := strings.CutPrefix(line, "rrserve ")
			if !ours || strings.HasPrefix(args, "-ro ") { // behind sshd, it has flags of rrsync
				continue
			}
			found++
			if missing := named(root, strings.Fields(quoted.ReplaceAllString(args, "''"))); missing != "" {
				t.Errorf("%s: `%s`: there is no %s", name, line, missing)
			}
		}
	}
	if found == 0 {
		t.Error("no document names a command")
	}
}

// named returns the first of the words, up to a comment, that is neither a command nor a flag of one
// and should be.
func named(cmd *cobra.Command, words []string) string {
	if !strings.HasPrefix(words[0], "-") {
		sub, _, err := cmd.Find(words[:1])
		if err != nil || sub == cmd {
			return words[0]
		}
		cmd, words = sub, words[1:]
	}
	cmd.InitDefaultHelpFlag()
	for _, word := range words {
		if word == "#" {
			break
		}
		flag, isFlag := strings.CutPrefix(word, "--")
		flag, _, _ = strings.Cut(flag, "=")
		if isFlag && cmd.Flags().Lookup(flag) == nil {
			return word
		}
	}
	return ""
}
