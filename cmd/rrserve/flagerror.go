package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// takes says by the type of a flag what it takes, where that is not any text.
var takes = map[string]string{
	"bool":     "are true and false",
	"int":      "is a whole number",
	"duration": "is a time such as 90s, 5m or 1h30m",
}

// flagError says what a flag takes that did not take a value, where the library
// names a function of Go.
func flagError(err error) error {
	if wrong := (*pflag.InvalidValueError)(nil); errors.As(err, &wrong) {
		if allowed, ok := takes[wrong.GetFlag().Value.Type()]; ok {
			return fmt.Errorf("--%s %q: allowed %s", wrong.GetFlag().Name, wrong.GetValue(), allowed)
		}
	}
	return err
}

// commandLineError is flagError for the command line, where a flag can also be unknown.
func commandLineError(cmd *cobra.Command, err error) error {
	unknown := (*pflag.NotExistError)(nil)
	switch {
	case !errors.As(err, &unknown):
		return usageError{flagError(err)}
	case len(unknown.GetSpecifiedShortnames()) > 1:
		return usagef("unknown flag: -%s; flags begin with --, see %s --help", unknown.GetSpecifiedShortnames(), cmd.CommandPath())
	}
	return usagef("%w; see %s --help", err, cmd.CommandPath())
}
