package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/sshsrv"
	"rrserve/internal/vfs"
)

func newExplainCommand() *cobra.Command {
	var o options
	var key string
	cmd := &cobra.Command{
		Use:   "explain [--key NAME] COMMAND",
		Short: "say what the server would do with a command of a client",
		Long: `Say what the server with these flags, environment and configuration file would do
with a command of the client NAME: from which root it is served and why, what
becomes of each option, and which names of the root the arguments stand for.
COMMAND is one word, as it stands in the server's log. Nothing is served.

Filter rules, names of --files-from and with -s the arguments themselves arrive
on the connection, and are not known here.

Exit codes: 0 it would be served, 1 it would be refused, 2 wrong command line,
78 bad configuration.`,
		Example: `  rrserve explain --key pi 'rsync --server --sender -logDtpr . photos/*.jpg'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%d arguments; allowed is one, the whole COMMAND in quotes", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd.Flags()); err != nil {
				return err
			}
			r := &report{w: cmd.OutOrStdout()}
			return r.explain(cmd.Context(), &o, key, args[0])
		},
	}
	o.register(cmd.Flags())
	o.registerUnit(cmd.Flags())
	cmd.Flags().StringVar(&key, "key", "", "the client's `NAME`, not needed if there is only one")
	return cmd
}

// explain goes through what the handler of the server does.
func (r *report) explain(ctx context.Context, o *options, name, command string) error {
	defer r.flush()
	quiet := slog.New(slog.DiscardHandler)
	access, err := newAccess(o, o.file)
	if err != nil {
		return err
	}
	ring, err := openKeyring(o, access, quiet)
	if err != nil {
		return err
	}
	key, err := chooseKey(ring.listed(), name)
	if err != nil {
		return err
	}
	if err := dropPrivileges(o, quiet); err != nil {
		return err
	}
	r.section("KEY")
	r.row(key.Name, key.Type, key.Fingerprint, key.where(), key.whatItSees(access), key.limits())
	tree, err := openTree(key.grant().root.path)
	if err != nil {
		return configf("root %w", err)
	}
	defer tree.Close()
	if why := key.grant().refuses(time.Now()); why != "" {
		return r.refused(sshsrv.StatusBusy, fmt.Sprintf("rrserve: %s [%s]", why, codeHours))
	}
	return r.command(ctx, o, key.grant(), tree, command)
}

// chooseKey returns the first key of a client, or the only client's.
func chooseKey(keys []listedKey, name string) (*listedKey, error) {
	var names []string
	for i := range keys {
		if keys[i].Name == name {
			return &keys[i], nil
		}
		names = append(names, keys[i].Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case name == "" && len(names) == 1:
		return &keys[0], nil
	case len(names) == 0:
		return nil, configf("no key may log in")
	case name == "":
		return nil, usagef("--key NAME is missing; there are %s", strings.Join(names, ", "))
	}
	return nil, usagef("--key %s: no key has this name; there are %s", name, strings.Join(names, ", "))
}

// command lets the engine decide about a command, and shows what it is made of.
func (r *report) command(ctx context.Context, o *options, g *grant, tree *jail.Root, command string) error {
	pull, options, err := argv.Explain(command)
	verdict, text := engineSays(ctx, o, g, tree, command)
	if verdict.Probe {
		r.section("PROBE, answered without a shell")
		for line := range strings.Lines(text) {
			r.row(strings.TrimRight(line, "\n"))
		}
		r.row("exit status", fmt.Sprint(verdict.ExitStatus))
		return r.served()
	}
	if len(options) > 0 {
		r.section("OPTIONS")
	}
	for _, given := range options {
		r.row(argv.Printable(given.Option), actionName(given.Action), argv.Printable(given.Why))
	}
	if err == nil {
		pull.Alias = g.root.alias()
		err = r.pulled(pull, viewOf(tree), g.root)
	}
	switch refusal := (*argv.Refusal)(nil); {
	case errors.As(err, &refusal):
		return r.refused(refusal.Status, refusal.Text)
	case verdict.Err != nil && !errors.Is(verdict.Err, io.ErrUnexpectedEOF):
		return r.refused(verdict.ExitStatus, text)
	}
	return r.served()
}

// engineSays runs the engine for a client that speaks its own protocol version and
// then hangs up. A command that is served ends with io.ErrUnexpectedEOF.
func engineSays(ctx context.Context, o *options, g *grant, tree *jail.Root, command string) (rsyncproto.Result, string) {
	var out, text bytes.Buffer
	c := rsyncproto.Config{
		Command: command, Probes: !o.noProbes, Stdin: bytes.NewReader(binary.LittleEndian.AppendUint32(nil, uint32(wire.MaxVersion))),
		Stdout: &out, Stderr: &text, Abort: func() {},
	}
	g.root.configure(&c)
	res := serveTree(ctx, tree, c)
	if res.Probe {
		return res, out.String() + text.String()
	}
	return res, text.String()
}

// pulled shows what a pull would send.
func (r *report) pulled(p *argv.Pull, tree vfs.FS, root *servedRoot) error {
	r.section("PULL")
	r.row("program", p.Program, "not run")
	switch {
	case p.Daemon:
		r.row("modules", root.name, "the root; module, options and arguments follow on the connection")
		return nil
	case p.Secluded:
		r.row("arguments", "with -s", "further options and all names follow on the connection")
		return nil
	}
	filters := "rules follow on the connection"
	if p.CVSExclude {
		filters += ", and then those of -C"
	}
	r.row("filters", filters)
	if p.FilesFrom && p.FilesFromPath == "" {
		r.row("files from", "names follow on the connection")
	} else if p.FilesFrom {
		r.row("files from", argv.Printable(p.FilesFromPath))
	}
	if _, err := p.Expand(tree); err != nil {
		return err
	}
	words := p.Args
	if len(words) == 0 {
		words = make([]argv.Word, 1) // the root
	}
	for _, w := range words {
		one := *p
		one.Args = []argv.Word{w}
		names, err := one.Expand(tree)
		if err != nil {
			return err
		}
		r.section("ARGUMENT " + argv.Printable(w.String()) + stands(len(names)))
		for _, name := range names[:min(len(names), maxNamed)] {
			r.row(argv.Printable(name), whatIs(p, tree, name))
		}
	}
	return nil
}

func stands(names int) string {
	switch {
	case names == 1:
		return ""
	case names > maxNamed:
		return fmt.Sprintf(": %d names, the first %d of them", names, maxNamed)
	}
	return fmt.Sprintf(": %d names", names)
}

// whatIs says what an argument names and what becomes of it.
func whatIs(p *argv.Pull, tree vfs.FS, name string) string {
	path, err := vfs.ParsePath(name)
	if err != nil {
		return err.Error()
	}
	if p.CopyLinks || strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") {
		path = path.Follow()
	}
	info, err := tree.Lstat(path)
	if err != nil {
		return fmt.Sprintf("%v: the client ends with status 23", errors.Unwrap(err))
	}
	switch info.Type() {
	case vfs.ModeRegular:
		return fmt.Sprintf("file, %d bytes", info.Size)
	case vfs.ModeDir:
		return chosen("directory", p.Recurse || p.Dirs, "-r or -d")
	case vfs.ModeSymlink:
		text, err := tree.Readlink(path)
		if err != nil {
			return "link, " + err.Error()
		}
		return chosen("link to "+argv.Printable(text), p.Links || p.CopyDirLinks || p.CopyUnsafeLinks, "-l or -L")
	case vfs.ModeFIFO, vfs.ModeSocket:
		return chosen("special file", p.Specials, "--specials")
	}
	return chosen("device", p.Devices, "--devices")
}

func chosen(what string, sent bool, option string) string {
	if sent {
		return what
	}
	return what + ", left out without " + option
}

func (r *report) served() error {
	r.flush()
	fmt.Fprintln(r.w, "served")
	return nil
}

// refused prints what the client would see. It is an error.
func (r *report) refused(status int, text string) error {
	r.section("REFUSED")
	for line := range strings.Lines(text) {
		r.row(strings.TrimRight(line, "\n"))
	}
	r.row(fmt.Sprintf("exit status %d", status))
	r.flush()
	return errors.New("the command would be refused")
}
