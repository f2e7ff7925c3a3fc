package main

import "github.com/spf13/cobra"

// flagValues is what shells complete after a flag. After others they offer files,
// or what has been typed.
var flagValues = map[string]cobra.CompletionFunc{
	"root":       directories,
	"keys-dir":   directories,
	"state-dir":  directories,
	"sandbox":    words(sandboxRequired, sandboxBestEffort),
	"log-format": words("text", "json"),
	"log-level":  words("debug", "info", "warn", "error"),
}

func directories(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func words(all ...cobra.Completion) cobra.CompletionFunc {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

// registerCompletions registers flagValues for cmd and the commands below it.
func registerCompletions(cmd *cobra.Command) {
	for name, values := range flagValues {
		if cmd.Flags().Lookup(name) == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(name, values); err != nil {
			panic(err) // the flag is there, and new
		}
	}
	for _, c := range cmd.Commands() {
		registerCompletions(c)
	}
}
