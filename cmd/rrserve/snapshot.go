package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"rrserve/internal/config"
	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/snapshot"
)

// brokerCommand is the subcommand by which the server starts its snapshot broker.
const brokerCommand = "snapshot-broker"

// codeSnapshot says that there is no tree to serve.
const codeSnapshot = "E-SNAPSHOT"

// snapshotCommand is the command of a configured root, nil if it has none.
func snapshotCommand(name, path string, r *config.Root) *snapshot.Command {
	if len(r.SnapshotCmd) == 0 {
		return nil
	}
	return &snapshot.Command{
		Root: name, Path: path, Args: r.SnapshotCmd, Dir: r.SnapshotDir,
		Timeout: cmp.Or(r.SnapshotTimeout.Duration, snapshot.DefaultTimeout),
		Share:   cmp.Or(r.SnapshotShare.Duration, snapshot.DefaultShare),
	}
}

// snapshotCommands are the commands of all roots.
func (a *access) snapshotCommands() []snapshot.Command {
	var all []snapshot.Command
	for _, name := range slices.Sorted(maps.Keys(a.roots)) {
		if c := a.roots[name].snapshots; c != nil {
			all = append(all, *c)
		}
	}
	return all
}

// changedSnapshots names the commands that the broker was not started with, and does
// not run.
func changedSnapshots(began, now *config.Config) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(now.Roots)) {
		c := snapshotCommand(name, now.Roots[name].Path, now.Roots[name])
		if c == nil {
			continue
		}
		if old := began.Roots[name]; old != nil {
			if known := snapshotCommand(name, old.Path, old); known != nil && known.Equal(*c) {
				continue
			}
		}
		names = append(names, "roots."+name+".snapshot_cmd")
	}
	return names
}

// startSnapshots starts the broker, if there is a command for it. That must be
// before the server gives up its privileges, which the broker keeps.
func startSnapshots(a *access, o *options) (*snapshot.Client, error) {
	commands := a.snapshotCommands()
	if len(commands) == 0 {
		return new(snapshot.Client), nil
	}
	for _, c := range commands {
		if err := checkSnapshots(c); err != nil {
			return nil, err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := snapshot.Start(program, []string{brokerCommand, "--log-format", o.logFormat, "--log-level", o.logLevel}, commands)
	if err != nil {
		return nil, configError{err}
	}
	return c, nil
}

// checkSnapshots finds what a command will fail for.
func checkSnapshots(c snapshot.Command) error {
	if _, err := checkRoot(c.Dir); err != nil {
		return fmt.Errorf("roots.%s: snapshot_dir %w", c.Root, err)
	}
	if err := c.Check(); err != nil {
		return configf("roots.%s: snapshot_cmd: %w", c.Root, err)
	}
	return nil
}

func endSnapshots(c *snapshot.Client, log *slog.Logger) {
	if err := c.Close(); err != nil {
		log.Error("a snapshot may be left behind", "err", err.Error())
	}
}

// pullSnapshot serves one command from a snapshot, which is released when all files
// of it are closed. What looks at no file costs none.
func pullSnapshot(ctx context.Context, root *servedRoot, snapshots *snapshot.Client, c rsyncproto.Config) rsyncproto.Result {
	if !c.LooksAtTree() {
		return rsyncproto.Serve(ctx, c)
	}
	tree, release, err := openSnapshot(ctx, root, snapshots)
	if err != nil {
		io.WriteString(c.Stderr, "rrserve: no snapshot of the served directory, see the server's log ["+codeSnapshot+"]\n")
		return rsyncproto.Result{ExitStatus: rsyncproto.ExitFileSelect, Refused: codeSnapshot, Err: fmt.Errorf("no snapshot: %w", err)}
	}
	defer release()
	defer tree.Close()
	return serveTree(ctx, tree, c)
}

// openSnapshot opens the tree that the root's command makes. It has to lie where the
// configuration says, for the kernel too.
func openSnapshot(ctx context.Context, root *servedRoot, snapshots *snapshot.Client) (tree *jail.Root, release func(), err error) {
	path, release, err := snapshots.Begin(ctx, *root.snapshots)
	if err != nil {
		return nil, nil, err
	}
	name, err := filepath.Rel(root.snapshots.Dir, path)
	if err == nil {
		tree, err = jail.OpenBelow(root.snapshots.Dir, name, root.path, jail.Best)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return tree, release, nil
}

// newSnapshotBrokerCommand is what startSnapshots starts.
func newSnapshotBrokerCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:    brokerCommand,
		Short:  "run the snapshot commands of a server, which starts this by itself",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkLog(); err != nil {
				return err
			}
			// It ends with the server. What else would end it would take the trees
			// from sessions that go on. Not ignored, which its commands would inherit.
			others := make(chan os.Signal, 1)
			signal.Notify(others, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, os.Interrupt)
			defer signal.Stop(others)
			return snapshot.Serve(cmd.InOrStdin(), cmd.OutOrStdout(), newLogger(&o, new(slog.LevelVar), cmd.ErrOrStderr()))
		},
	}
	o.registerLog(cmd.Flags())
	return cmd
}
