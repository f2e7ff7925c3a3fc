// Command rrserve serves one directory, read-only, to stock rsync clients over
// SSH.
//
//	rrserve --root DIR --authorized-key key.pub
//
// or, as the forced command of a key of sshd, one session of it:
//
//	rrserve -ro DIR
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"rrserve/internal/rrsync"
)

// Exit codes of the process; they are part of the interface.
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2  // a flag is wrong or missing
	exitConfig  = 78 // EX_CONFIG of sysexits(3): what a flag names is unusable
)

// usageError is a wrong command line, configError a right one that names
// something unusable, which a restart will not mend.
type (
	usageError  struct{ error }
	configError struct{ error }
)

func (e usageError) Unwrap() error  { return e.error }
func (e configError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error  { return usageError{fmt.Errorf(format, args...)} }
func configf(format string, args ...any) error { return configError{fmt.Errorf(format, args...)} }

func main() {
	if args := os.Args[1:]; rrsync.IsCall(args) {
		os.Exit(runForced(args))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments.
func run(args []string, stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	cmd := newCommand(signals)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(context.Background())
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "rrserve: %s\n", oneLine(err))
	if usage := (usageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	if config := (configError{}); errors.As(err, &config) {
		return exitConfig
	}
	return exitRuntime
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

func newCommand(signals <-chan os.Signal) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "rrserve --root DIR --authorized-key KEY",
		Short: "serve one directory, read-only, to rsync clients over SSH",
		Long: `rrserve serves one directory, read-only, to stock rsync clients over SSH.

Every flag can also be given in the environment as RRSERVE_<FLAG>, for example
RRSERVE_MAX_SESSIONS; a flag wins over the environment. Flags that may be
repeated take one value per line there. RRSERVE_AUTHORIZED_KEYS holds further
keys themselves, in the format of authorized_keys.

Behind an existing sshd, command="rrserve -ro DIR" before a key in its
authorized_keys serves DIR to that key.

Exit codes: 0 stopped, 1 failed, 2 wrong command line, 78 bad configuration.`,
		Example: `  rrserve --root /srv/data --authorized-key ~/backup.pub
  rsync -azh --stats -e 'ssh -p 2222' rrserve@main:* /path/to/backup/`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd.Flags()); err != nil {
				return err
			}
			return serve(cmd.Context(), &o, signals, cmd.ErrOrStderr())
		},
	}
	cmd.SetFlagErrorFunc(commandLineError)
	o.register(cmd.Flags())
	cmd.AddCommand(newCheckCommand(), newExplainCommand(), newHealthcheckCommand(), newOptionsCommand(), newStatusCommand(), newCheckSandboxCommand(), newSnapshotBrokerCommand(), newVersionCommand())
	registerCompletions(cmd)
	return cmd
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q; see rrserve --help", args[0])
	}
	return nil
}
