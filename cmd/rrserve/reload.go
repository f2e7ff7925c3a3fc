package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/pflag"

	"rrserve/internal/sshsrv"
)

// fixed are the settings that are acted on before the process confines itself. A
// new value of one waits for a restart; the others hold at once.
var fixed = []string{"listen", "host_key", "state_dir", "metrics_listen", "audit_log", "run_as", "read_all", "sandbox", "log_format"}

// given is what flags and the environment say, which stays as it was at the start
// when the file is read again.
type given struct {
	options options
	flags   []string // that are set
}

func newGiven(o *options, f *pflag.FlagSet) *given {
	g := &given{options: *o}
	f.Visit(func(flag *pflag.Flag) { g.flags = append(g.flags, flag.Name) })
	return g
}

// again returns the options as they were before the file was read, and the flags
// that set them.
func (g *given) again() (*options, *pflag.FlagSet) {
	o := new(options)
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(f) // which sets defaults
	*o = g.options
	o.given = g
	for _, name := range g.flags {
		f.Lookup(name).Changed = true
	}
	return o, f
}

// reloader reads the configuration file again while the server runs.
type reloader struct {
	began *options                 // of the start
	live  *atomic.Pointer[options] // what holds now
	file  *os.File                 // the configuration of the start, nil if there was none
	level *slog.LevelVar
	keys  *keyring
	audit *auditLog
	srv   *sshsrv.Server
	log   *slog.Logger
}

// newReloader opens the configuration file, while it is within reach, and notes
// where relative paths begin, which the sandbox lets nobody ask.
func newReloader(live *atomic.Pointer[options], level *slog.LevelVar, keys *keyring, audit *auditLog, log *slog.Logger) (*reloader, error) {
	r := &reloader{began: live.Load(), live: live, level: level, keys: keys, audit: audit, log: log}
	if dir, err := os.Getwd(); err == nil {
		os.Setenv("PWD", dir) // from which os.Getwd takes it
	}
	if path := r.began.config; path != "" && losesNames {
		var err error
		if r.file, err = os.Open(path); err != nil {
			return nil, configf("configuration %s: %w", path, bare(err))
		}
	}
	return r, nil
}

// start begins to reload at each signal, until the channel is closed, and tells when.
// The process is confined by now.
func (r *reloader) start(srv *sshsrv.Server, notify *notifier, signals <-chan os.Signal) {
	r.srv = srv
	if r.file != nil {
		path := r.began.config
		if _, err := readKeyFile(path, writableByOthers); err == nil && below(path, configDirs()) {
			r.file.Close()
			r.file = nil
		} else {
			r.log.Info("the configuration may be edited at any time; if it is replaced by another file, restart the server", "file", path)
		}
	}
	go func() {
		for range signals {
			notify.reloading()
			r.reload()
			notify.ready()
		}
	}()
}

// reload makes the file of the moment hold, or says what is wrong with it and
// leaves everything as it was. Sessions go on with what they began with.
func (r *reloader) reload() {
	if name := r.began.auditLog; r.audit.moved(name) {
		r.log.Warn("the audit log was moved or removed, and is still written there: rotate it by copying, or restart the server", "file", name)
	}
	old := r.live.Load()
	o, err := r.read(old)
	if err == nil && o.config == "" {
		r.log.Info("there is no configuration file to read again; lists of keys are read at each login")
		return
	}
	if err == nil {
		err = r.use(o)
	}
	if err != nil {
		r.log.Error("the configuration was not read again, the old one holds", "err", oneLine(err))
		return
	}
	r.log.Info("the configuration was read again", "file", o.config, "changed", strings.Join(changes(old, o), " "), "keys", len(r.keys.Keys()))
	waiting := slices.DeleteFunc(changedFlags(r.began, o), func(name string) bool { return !slices.Contains(fixed, name) })
	waiting = append(waiting, changedSnapshots(r.began.file, o.file)...)
	if waiting = append(waiting, r.keys.access.Load().outside()...); len(waiting) > 0 {
		r.log.Warn("this takes a restart", "settings", strings.Join(waiting, " "))
	}
}

// read returns the options that are to hold. A file that is gone is an error.
func (r *reloader) read(old *options) (*options, error) {
	o, f := old.given.again()
	if err := o.fromFileBy(f, r.readFile); err != nil {
		return nil, err
	}
	if o.config == "" && old.config != "" {
		return nil, fmt.Errorf("configuration %s: %w", old.config, syscall.ENOENT)
	}
	return o, o.check()
}

// use makes the options hold, if the server could start with them.
func (r *reloader) use(o *options) error {
	a, err := newAccessWithin(r.keys.access.Load().trees, o, o.file)
	if err != nil {
		return err
	}
	sources, err := r.keys.prepare(o, a)
	if err != nil {
		return withHint(err)
	}
	if err := r.srv.SetPolicy(o.policy()); err != nil {
		return err
	}
	r.keys.replace(a, sources, o.keysDir)
	r.level.Set(o.level)
	r.live.Store(o)
	return nil
}

// readFile reads the file by its name, or through the descriptor of the start
// where the name is out of reach by now.
func (r *reloader) readFile(path string) ([]byte, error) {
	data, err := readKeyFile(path, writableByOthers)
	if errors.Is(err, fs.ErrPermission) && r.file != nil && path == r.began.config && !replaced(r.file, path) {
		return readOpenKeyFile(r.file, writableByOthers)
	}
	return data, withHint(err)
}

// withHint says what to do about a file that the server may not read any more.
func withHint(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: since its start the server reads what lies in %s and may be read by the user that it runs as; chgrp and chmod 0640 the file, or restart the server",
		err, strings.Join(configDirs(), " or "))
}

// changes names what differs: settings, roots.NAME and clients.NAME.
func changes(old, o *options) []string {
	names := changedFlags(old, o)
	names = append(names, changedEntries("roots.", old.file.Roots, o.file.Roots)...)
	return append(names, changedEntries("clients.", old.file.Clients, o.file.Clients)...)
}

// changedFlags names the settings that differ.
func changedFlags(old, o *options) []string {
	var names []string
	o.flags.VisitAll(func(f *pflag.Flag) {
		if f.Value.String() != old.flags.Lookup(f.Name).Value.String() {
			names = append(names, settingName(f.Name))
		}
	})
	return names
}

// changedEntries names the entries of a table that differ, are new, or are gone.
func changedEntries[T any](table string, old, now map[string]*T) []string {
	names := make(map[string]bool)
	for name := range old {
		names[table+name] = !reflect.DeepEqual(old[name], now[name])
	}
	for name := range now {
		names[table+name] = !reflect.DeepEqual(old[name], now[name])
	}
	maps.DeleteFunc(names, func(_ string, changed bool) bool { return !changed })
	return slices.Sorted(maps.Keys(names))
}
