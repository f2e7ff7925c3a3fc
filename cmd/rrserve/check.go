package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rrserve/internal/trial"
)

func newCheckCommand() *cobra.Command {
	var o options
	var p trialPull
	cmd := &cobra.Command{
		Use:   "check",
		Short: "look for what would keep a backup from working",
		Long: `Look for what would keep a backup from working, with the flags, environment and
configuration file of the server: print what was read, the host keys, what each
key may see, and open every file below each root, reading none, as the user that
the server would be. Nothing is changed, and the server may run meanwhile.
Whether the sandbox holds is for rrserve check-sandbox.

With --pull also log in to the running server, with the private key of a client
(--identity), and pull as that client would: the list of all files and the data
of the first ` + fmt.Sprintf("%d files or %d MiB", trial.MaxFiles, trial.MaxBytes>>20) + `, into a temporary directory that is
removed. --pull=PATH pulls only PATH, as rsync would name it. The server counts
it as a dry run, unless --user insists on a name.

The last line is "no problems" or how many there are.

Exit codes: 0 no problems, 1 problems, 2 wrong command line, 78 bad configuration.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd.Flags()); err != nil {
				return err
			}
			if p.path != "" && p.identity == "" {
				return usagef("--pull: --identity FILE is missing, the private key of a client to log in with")
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			r := &report{w: cmd.OutOrStdout(), progress: terminal(cmd.ErrOrStderr())}
			return r.check(ctx, &o, &p, givenVariables(cmd.Flags(), o.lookup))
		},
	}
	o.register(cmd.Flags())
	o.registerUnit(cmd.Flags())
	p.register(cmd.Flags())
	return cmd
}

// report prints what a check finds and counts the problems.
type report struct {
	w        io.Writer
	progress io.Writer // nil for none
	table    *tabwriter.Writer
	problems int
}

// section begins a part of the report.
func (r *report) section(title string) {
	r.flush()
	fmt.Fprintln(r.w, title)
	r.table = tabwriter.NewWriter(r.w, 0, 0, 2, ' ', 0)
}

// row prints a line of aligned cells.
func (r *report) row(cells ...string) {
	for len(cells) > 1 && cells[len(cells)-1] == "" { // not to be padded
		cells = cells[:len(cells)-1]
	}
	fmt.Fprintf(r.table, "  %s\n", strings.Join(cells, "\t"))
}

// problem prints a line that says what is wrong.
func (r *report) problem(format string, args ...any) {
	r.flush()
	r.problems++
	fmt.Fprintf(r.w, "  problem: %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; "))
}

func (r *report) flush() {
	if r.table != nil {
		r.table.Flush()
	}
}

// end prints the last line. It is an error if there are problems.
func (r *report) end() error {
	r.flush()
	found := fmt.Sprintf("%d problems", r.problems)
	switch r.problems {
	case 0:
		fmt.Fprintln(r.w, "no problems")
		return nil
	case 1:
		found = "1 problem"
	}
	fmt.Fprintln(r.w, found)
	return fmt.Errorf("the check found %s", found)
}

// check looks at everything once, the files of the server before it becomes the
// user who reads the served ones.
func (r *report) check(ctx context.Context, o *options, p *trialPull, variables []string) error {
	defer r.flush()
	quiet := slog.New(slog.DiscardHandler)
	access, missing := tryAccess(nil, o, o.file)
	r.configuration(o, variables)
	known := r.hostKeys(o, quiet)
	ring := newKeyring(o, access, quiet)
	keys := r.keys(ring, access)
	roots := slices.DeleteFunc(ring.roots((*servedRoot).directory), func(root string) bool {
		_, err := checkRoot(root)
		return err != nil // which is among the missing
	})
	r.written(o, append(slices.Clone(roots), ring.roots((*servedRoot).tree)...))
	for _, c := range access.snapshotCommands() {
		if err := checkSnapshots(c); err != nil {
			missing = append(missing, err)
		}
	}
	if err := p.load(); err != nil {
		return err
	}
	if err := dropPrivileges(o, quiet); err != nil {
		return err
	}
	r.outOfReach(ring, userName(os.Geteuid()))
	r.section("ROOTS, opened as the user " + userName(os.Geteuid()))
	for _, err := range missing {
		r.problem("%v", err)
	}
	for _, root := range roots {
		r.root(ctx, root)
	}
	if p.path != "" && ctx.Err() == nil {
		r.pull(ctx, o, p, known, keys)
	}
	if ctx.Err() != nil {
		r.problem("interrupted: what is above is not the whole")
	}
	return r.end()
}

func (r *report) configuration(o *options, variables []string) {
	r.section("CONFIGURATION")
	r.row("file", cmp.Or(o.config, "none"))
	r.row("unit", cmp.Or(o.unitFile, "none"))
	r.row("variables", cmp.Or(strings.Join(variables, " "), "none"))
	r.row("listen", o.listen)
	if o.config != "" {
		r.replaceable(o.config)
	}
}

// givenVariables are the variables that stand for flags and are set. A flag on the
// command line may have won over one.
func givenVariables(f *pflag.FlagSet, lookup func(string) (string, bool)) (names []string) {
	f.VisitAll(func(flag *pflag.Flag) {
		if name, _, _ := findVariable(variable(flag), lookup); name != "" {
			names = append(names, name)
		}
	})
	if name, value, _ := findVariable(inlineKeysVariable, lookup); value != "" {
		names = append(names, name)
	}
	return names
}

// replaceable reports the first directory above a file that lets others put
// another file in its place (sshd_config StrictModes).
func (r *report) replaceable(path string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&writableByOthers != 0 && info.Mode()&os.ModeSticky == 0 {
			r.problem("%s: others may replace it: mode %04o of %s is too open", path, info.Mode().Perm(), dir)
			return
		}
		if dir == filepath.Dir(dir) {
			return
		}
	}
}

// hostKeys prints the host keys and returns them.
func (r *report) hostKeys(o *options, log *slog.Logger) []hostKeyFile {
	r.section("HOST KEYS")
	if path := o.defaultHostKey(); len(o.givenHostKeys()) == 0 {
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			r.row("none yet; the first start makes", path)
			return nil
		}
	}
	keys, err := loadHostKeys(o, log) // which makes none, as there is one
	if err != nil {
		r.problem("%v", err)
		return nil
	}
	for _, k := range keys {
		mode := "mode unknown"
		if info, err := os.Stat(k.path); err == nil {
			mode = fmt.Sprintf("mode %04o", info.Mode().Perm())
		}
		r.row(k.Type(), k.Fingerprint(), mode, k.path)
	}
	for _, k := range keys {
		r.replaceable(k.path)
	}
	return keys
}

// terminal returns w if it is one, or at least not a file, and otherwise nil.
func terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return w
}
