package main

import (
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rrserve/internal/jail"
)

func newCheckSandboxCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "check-sandbox",
		Short: "try to break out of the sandbox, and print which wall stops what",
		Long: `Try to break out of the sandbox that the server would run in, and print what
becomes of each attempt: without the sandbox, behind each of its walls alone,
and behind all. Nothing is served and nothing changed.

Exit codes: 0 every attempt was stopped, 1 one was not, 78 bad configuration.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.read(cmd.Flags()); err != nil {
				return err
			}
			if err := o.checkConfinement(); err != nil {
				return err
			}
			return checkSandbox(&o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&o.root, "root", ".", "the `DIR`ectory to be served")
	o.registerConfig(cmd.Flags())
	o.registerUnit(cmd.Flags())
	o.registerConfinement(cmd.Flags())
	return cmd
}

// column is the outcomes of all attempts behind the walls of its title, or why
// there are none.
type column struct {
	title    string
	outcomes []jail.Outcome
	err      error
}

func checkSandbox(o *options, stdout, stderr io.Writer) error {
	o.logFormat = "text"
	log := newLogger(o, new(slog.LevelVar), stderr)
	root, err := checkRoot(o.root)
	if err != nil {
		return err
	}
	if err := dropPrivileges(o, log); err != nil {
		return err
	}
	if _, err := checkRoot(root); err != nil {
		return err
	}
	box := &jail.Sandbox{Trees: []string{sandboxTree(root, log)}}
	proof := jail.NewProof(box)
	defer proof.Close()
	behind := func(title string, walls ...string) column {
		c := column{title: title}
		c.outcomes, c.err = proof.Behind(walls...)
		return c
	}
	columns := []column{
		behind("NO SANDBOX"),
		behind("LANDLOCK ALONE", jail.Landlock),
		behind("SECCOMP ALONE", jail.Seccomp),
	}
	walls := jail.Confine(box)
	all := column{title: "ALL", outcomes: proof.Try()}
	if err := printTable(stdout, append(columns, all)); err != nil {
		return err
	}
	_, err = weigh(walls, all.outcomes)
	return err
}

func printTable(w io.Writer, columns []column) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "ATTEMPT")
	for _, c := range columns {
		fmt.Fprintf(tw, "\t%s", c.title)
	}
	fmt.Fprintln(tw)
	for i, o := range columns[len(columns)-1].outcomes {
		fmt.Fprint(tw, o.Attempt)
		for _, c := range columns {
			fmt.Fprintf(tw, "\t%s", c.cell(i))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// cell says what became of the attempt of this number.
func (c column) cell(i int) string {
	if c.err != nil {
		return c.err.Error()
	}
	switch o := c.outcomes[i]; {
	case o.Aimless:
		return o.Err.Error()
	case o.Stopped:
		return "refused: " + o.Err.Error()
	default:
		return "let through"
	}
}
