package main

import (
	"fmt"
	"log/slog"
	"time"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
)

// maxLogged is how much of a command line goes into the log, in bytes.
const maxLogged = 4096

// asked says who asked for what; docs/configuration.md lists the names.
func asked(x *sshsrv.Exec, g *grant) []any {
	return []any{
		"from", x.Remote.Addr().String(), "port", x.Remote.Port(),
		"key", x.Key.Name, "fingerprint", x.Key.Fingerprint, "user", x.User, "client", x.ClientVersion,
		"root", g.root.name, "command", x.Command[:min(len(x.Command), maxLogged)],
	}
}

// refuse ends a command before anything is looked at.
func refuse(log *slog.Logger, x *sshsrv.Exec, g *grant, code, why string) int {
	fmt.Fprintf(x.Stderr, "rrserve: %s [%s]\n", why, code)
	log.Info("refused", append(asked(x, g), "status", sshsrv.StatusBusy, "code", code, "reason", why)...)
	return sshsrv.StatusBusy
}

// record logs how a command ended.
func record(log *slog.Logger, x *sshsrv.Exec, g *grant, res rsyncproto.Result, took time.Duration) {
	attrs := append(asked(x, g), "status", res.ExitStatus)
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
		"protocol", res.Protocol, "listed", res.Listed, "sent", res.Sent, "unreadable", res.Failed, "vanished", res.Vanished,
		"literal_bytes", res.Literal, "matched_bytes", res.Matched, "read_bytes", res.Read, "written_bytes", res.Written,
		"seconds", took.Seconds())
	attrs = append(attrs, sumAttrs(res.Sums)...)
	if res.Err != nil {
		attrs = append(attrs, "error", res.Err.Error())
	}
	log.Info("finished", attrs...)
}
