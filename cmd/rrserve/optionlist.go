package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rrserve/internal/rsyncproto/argv"
)

// listedOption is an option of rsync as `rrserve options --json` prints it.
type listedOption struct {
	Short  string   `json:"short,omitempty"` // with its dash
	Names  []string `json:"names,omitempty"` // with their dashes
	Value  bool     `json:"value"`
	Action string   `json:"action"` // honoured, ignored or refused
	Why    string   `json:"why,omitempty"`
}

func newOptionsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "options",
		Short: "list the options of rsync and what becomes of each",
		Long: `List every option that an rsync client may send and what becomes of it here:

  honoured  acted on
  ignored   accepted; it changes nothing that the sending side does
  refused   the command ends with a message that names it, and exit status 1`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(listOptions())
			}
			return printOptions(cmd.OutOrStdout(), listOptions())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func listOptions() []listedOption {
	var list []listedOption
	for _, o := range argv.Options() {
		l := listedOption{Value: o.Value, Action: actionName(o.Action), Why: o.Why}
		if o.Short != 0 {
			l.Short = "-" + string(o.Short)
		}
		for _, name := range o.Names {
			l.Names = append(l.Names, "--"+name)
		}
		list = append(list, l)
	}
	return list
}

func actionName(a argv.Action) string {
	switch a {
	case argv.Honoured:
		return "honoured"
	case argv.ReceiverOnly:
		return "ignored"
	}
	return "refused"
}

// printOptions prints one line for each spelling of an option, so that it can
// be searched.
func printOptions(w io.Writer, list []listedOption) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "OPTION\tACTION\tWHY")
	for _, o := range list {
		names := o.Names
		if len(names) == 0 {
			names = []string{""}
		}
		for i, name := range names {
			if o.Value && name != "" {
				name += "=VALUE"
			}
			if i == 0 && o.Short != "" {
				name = strings.TrimSuffix(o.Short+", "+name, ", ")
			}
			if o.Why == "" {
				fmt.Fprintf(tw, "%s\t%s\n", name, o.Action)
			} else {
				fmt.Fprintf(tw, "%s\t%s\t%s\n", name, o.Action, o.Why)
			}
		}
	}
	return tw.Flush()
}
