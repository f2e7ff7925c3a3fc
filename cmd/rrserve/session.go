package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
	"rrserve/internal/vfs"
)

// sumMemory bounds the memory for block sums of all sessions, in bytes: enough for
// two files of several hundred GiB and many small ones.
const sumMemory = 1 << 30

// maxLogged is how much of a command line goes into the log, in bytes.
const maxLogged = 4096

// newHandler returns what runs for each command: one pull from the tree below
// root, or the answer to a probe.
func newHandler(root string, o *options, log *slog.Logger) sshsrv.Handler {
	users, groups := newIDFile("/etc/passwd"), newIDFile("/etc/group")
	base := rsyncproto.Config{
		Module:     moduleName(root),
		Probes:     !o.noProbes,
		Space:      spaceOf(root),
		MungeLinks: o.mungeLinks,
		NoXattrs:   jail.Xattrs == 0,
		Idle:       o.idleTimeout,
		SumMemory:  rsyncproto.NewSumMemory(sumMemory),
	}
	return func(ctx context.Context, x *sshsrv.Exec) int {
		began := time.Now()
		c := base
		c.UserName, c.GroupName = users.Names(), groups.Names()
		res := pull(ctx, root, c, x)
		record(log, x, res, time.Since(began))
		return res.ExitStatus
	}
}

// moduleName is the name of the tree for host::module: the base name of its
// directory, "root" where that cannot be one.
func moduleName(root string) string {
	name := filepath.Base(root)
	if strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsAny(name, `/\`) || name[0] == '#' {
		return "root"
	}
	return name
}

// pull serves one command. The root is opened anew for it, so that a root that
// is a link to the newest snapshot may change between pulls and never within.
func pull(ctx context.Context, root string, c rsyncproto.Config, x *sshsrv.Exec) rsyncproto.Result {
	tree, err := openTree(root)
	if err != nil {
		x.Stderr.Write([]byte("rrserve: the served directory cannot be opened, see the server's log\n"))
		return rsyncproto.Result{ExitStatus: rsyncproto.ExitFileSelect, Err: err}
	}
	defer tree.Close()
	stack := afero.NewReadOnlyFs(afero.NewBasePathFs(tree, "/"))
	c.Command = x.Command
	c.FS = vfs.FromAfero(stack, vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs})
	c.NoBtimes = !tree.Btimes()
	c.Stdin, c.Stdout, c.Stderr = x.Stdin, x.Stdout, x.Stderr
	c.Abort = x.Abort
	return rsyncproto.Serve(ctx, c)
}

// openTree pins the root and sees whether it can be read. What has taken its
// place since the start can be pinned, but the sandbox keeps it from being read.
func openTree(root string) (*jail.Root, error) {
	tree, err := jail.Open(root)
	if err != nil {
		return nil, err
	}
	dir, err := tree.Open("/")
	if err != nil {
		tree.Close()
		return nil, fmt.Errorf("%w; if another directory is there than at the start, restart the server", err)
	}
	dir.Close()
	return tree, nil
}

// record logs how a command ended.
func record(log *slog.Logger, x *sshsrv.Exec, res rsyncproto.Result, took time.Duration) {
	attrs := []any{
		"from", x.Remote.Addr().String(), "port", x.Remote.Port(), "key", x.Key.Name, "user", x.User,
		"command", x.Command[:min(len(x.Command), maxLogged)], "status", res.ExitStatus,
	}
	if res.Refused != "" {
		log.Info("refused", append(attrs, "code", res.Refused, "reason", res.Err.Error())...)
		return
	}
	if res.Probe {
		log.Info("probe", attrs...)
		return
	}
	if res.Module != "" {
		attrs = append(attrs, "module", res.Module)
	}
	attrs = append(attrs,
		"protocol", res.Protocol, "listed", res.Listed, "sent", res.Sent, "failed", res.Failed, "vanished", res.Vanished,
		"literal_bytes", res.Literal, "matched_bytes", res.Matched, "read_bytes", res.Read, "written_bytes", res.Written,
		"seconds", took.Seconds())
	if res.Err != nil {
		attrs = append(attrs, "error", res.Err.Error())
	}
	log.Info("finished", attrs...)
}
