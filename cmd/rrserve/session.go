package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
	"rrserve/internal/vfs"
)

// newHandler returns what runs for each command: one pull from the tree below
// root.
func newHandler(root string, mungeLinks bool, log *slog.Logger) sshsrv.Handler {
	users, groups := newIDFile("/etc/passwd"), newIDFile("/etc/group")
	return func(ctx context.Context, x *sshsrv.Exec) int {
		began := time.Now()
		res := pull(ctx, root, mungeLinks, users.Names(), groups.Names(), x)
		record(log, x, res, time.Since(began))
		return res.ExitStatus
	}
}

// pull serves one command. The root is opened anew for it, so that a root that
// is a link to the newest snapshot may change between pulls and never within.
func pull(ctx context.Context, root string, mungeLinks bool, users, groups func(uint32) string, x *sshsrv.Exec) rsyncproto.Result {
	tree, err := jail.Open(root)
	if err != nil {
		x.Stderr.Write([]byte("rrserve: the served directory cannot be opened, see the server's log\n"))
		return rsyncproto.Result{ExitStatus: rsyncproto.ExitFileSelect, Err: err}
	}
	defer tree.Close()
	stack := afero.NewReadOnlyFs(afero.NewBasePathFs(tree, "/"))
	return rsyncproto.Serve(ctx, rsyncproto.Config{
		Command:   x.Command,
		FS:        vfs.FromAfero(stack, vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs}),
		Stdin:     x.Stdin,
		Stdout:    x.Stdout,
		Stderr:    x.Stderr,
		Abort:     x.Abort,
		UserName:  users,
		GroupName: groups,

		MungeLinks: mungeLinks,
	})
}

// record logs how a command ended.
func record(log *slog.Logger, x *sshsrv.Exec, res rsyncproto.Result, took time.Duration) {
	attrs := []any{
		"from", x.Remote.Addr().String(), "port", x.Remote.Port(), "key", x.Key.Name, "user", x.User,
		"command", x.Command, "status", res.ExitStatus,
	}
	if res.Refused != "" {
		log.Info("refused", append(attrs, "code", res.Refused, "reason", res.Err.Error())...)
		return
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
