package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"rrserve/internal/sshsrv"
	"rrserve/internal/status"
)

// serve runs the server until a signal stops it.
func serve(ctx context.Context, o *options, signals <-chan os.Signal, stderr io.Writer) error {
	hangups := make(chan os.Signal, 1)
	defer close(hangups)
	signal.Notify(hangups, syscall.SIGHUP) // during the start it waits
	defer signal.Stop(hangups)
	// A log whose reader has gone would end the server, and the pulls with it. Not
	// ignored, which the snapshot commands would inherit.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	level := new(slog.LevelVar)
	log := newLogger(o, level, stderr)
	notify := openNotifier(log)
	access, err := newAccess(o, o.file)
	if err != nil {
		return err
	}
	keys, err := openKeyring(o, access, log)
	if err != nil {
		return err
	}
	hostKeys, err := loadHostKeys(o, log)
	if err != nil {
		return err
	}
	audit, err := openAuditLog(o.auditLog, log)
	if err != nil {
		return err
	}
	ln, err := listen(ctx, o)
	if err != nil {
		return err
	}
	defer ln.Close()
	var board *status.Board
	var metrics net.Listener
	if o.metricsListen != "" {
		board = newBoard(o, keys, log)
		if metrics, err = listenTCP(ctx, "--metrics-listen", o.metricsListen); err != nil {
			return err
		}
		defer metrics.Close()
	}
	sums, err := openSumCache(o, append(keys.roots((*servedRoot).tree), keys.roots((*servedRoot).directory)...), log)
	if err != nil {
		return err
	}
	var live atomic.Pointer[options]
	live.Store(o)
	again, err := newReloader(&live, level, keys, audit, log)
	if err != nil {
		return err
	}
	snapshots, err := startSnapshots(access, o)
	if err != nil {
		return err
	}
	defer endSnapshots(snapshots, log)
	command := clientCommand(ln.Addr().(*net.TCPAddr), hostname())
	srv, err := sshsrv.New(sshsrv.Config{
		HostKeys:       serverKeys(hostKeys),
		AuthorizedKeys: keys.Keys,
		Handler:        notify.counted(newHandler(&live, snapshots, board, sums, audit, log)),
		ShellAnswer:    "rrserve: there is no shell here, only files for rsync, read-only; try: " + command,
		AckNow:         ackNow,
		Log:            log,
		Policy:         o.policy(),
	})
	if err != nil {
		return configError{err}
	}
	walls, err := confine(o, keys, sums, log)
	if err != nil {
		return err
	}
	if board != nil {
		board.Started(walls, func() map[string]uint64 { return limitHits(srv.Stats()) })
		log.Info("answering over HTTP", "address", metrics.Addr().String())
		go board.Serve(ctx, metrics)
	}

	defer onStateSignal(srv.LogState)()
	for _, k := range hostKeys {
		log.Info("host key", "type", k.Type(), "fingerprint", k.Fingerprint(), "file", k.path)
	}
	log.Info("listening", "address", ln.Addr().String(), "root", strings.Join(keys.roots((*servedRoot).directory), ":"), "keys", len(keys.Keys()))
	if o.logFormat == "json" {
		log.Info("to be typed on the other machine", "command", command)
	} else {
		fmt.Fprintf(stderr, "On the other machine:\n\n    %s\n\n", command)
	}
	// After the log: who has waited for the start may look there for the fingerprint.
	notify.ready()
	defer notify.start(srv.Alive)()
	again.start(srv, notify, hangups)
	return serveUntil(ctx, srv, ln, signals, notify, log)
}

// serveUntil stops the server gently at the first signal and at once at the
// second.
func serveUntil(ctx context.Context, srv *sshsrv.Server, ln net.Listener, signals <-chan os.Signal, notify *notifier, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for range 2 {
			select {
			case s := <-signals:
				log.Info("stopping", "signal", s.String())
			case <-done:
				return
			}
			notify.stopping()
			if ctx.Err() != nil {
				srv.Close()
			}
			stop()
		}
	}()
	err := srv.Serve(ctx, ln)
	log.Info("stopped")
	return err
}

// policy is what of the options concerns SSH and may change while the server runs.
func (o *options) policy() sshsrv.Policy {
	return sshsrv.Policy{
		User:              o.user,
		Ciphers:           o.ciphers,
		LoginGrace:        o.loginGrace,
		Startups:          o.startups,
		NoPenalties:       o.noPenalties,
		ProxyFrom:         o.proxies,
		MaxSessions:       o.maxSessions,
		MaxSessionsPerKey: o.maxPerKey,
		Idle:              o.idleTimeout,
		Drain:             o.drainTime,
	}
}

// newLogger writes to stderr from level on, which it sets.
func newLogger(o *options, level *slog.LevelVar, stderr io.Writer) *slog.Logger {
	level.Set(o.level)
	ho := slog.HandlerOptions{Level: level}
	handler := textHandler
	if o.logFormat == "json" {
		handler = jsonHandler
	}
	if toJournal(stderr) {
		return slog.New(newJournalHandler(stderr, ho, handler))
	}
	return slog.New(handler(stderr, &ho))
}

func textHandler(w io.Writer, ho *slog.HandlerOptions) slog.Handler {
	return slog.NewTextHandler(w, ho)
}
func jsonHandler(w io.Writer, ho *slog.HandlerOptions) slog.Handler {
	return slog.NewJSONHandler(plainJSON{w}, ho)
}

// checkRoot returns the absolute path of a directory to serve, also with the
// error that it is none.
func checkRoot(dir string) (string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return dir, configf("%s: %w", dir, err)
	}
	// Opened, not only looked at: what cannot be listed cannot be served.
	f, err := os.Open(root)
	if err != nil {
		return root, configf("%s: %w", dir, bare(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		return root, configf("%s: %w", dir, errors.Join(err, errors.New("not a directory")))
	}
	return root, nil
}

func serverKeys(files []hostKeyFile) []sshsrv.HostKey {
	var keys []sshsrv.HostKey
	for _, f := range files {
		keys = append(keys, f.HostKey)
	}
	return keys
}

// clientCommand is what to type on the machine that fetches the backup. A
// server on one address is known by it, otherwise by its name.
func clientCommand(addr *net.TCPAddr, host string) string {
	if !addr.IP.IsUnspecified() {
		host = addr.IP.String()
		if addr.IP.To4() == nil {
			host = "[" + host + "]"
		}
	}
	shell := ""
	if addr.Port != 22 {
		shell = "-e 'ssh -p " + strconv.Itoa(addr.Port) + "' "
	}
	return "rsync -azh --stats " + shell + "rrserve@" + host + ":* /path/to/backup/"
}
