package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rrserve/internal/ledger"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
	"rrserve/internal/status"
)

// ledgerName is the file in the state directory that remembers the pulls.
const ledgerName = "pulls"

// openLedger opens the memory of pulls, while files can still be opened for
// writing. Without a place for it the server runs, and forgets when it ends.
func openLedger(o *options, log *slog.Logger) *ledger.Ledger {
	path := filepath.Join(o.stateDirectory(), ledgerName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		var l *ledger.Ledger
		if l, err = ledger.Open(file); err == nil {
			return l
		}
		file.Close()
	}
	log.Warn("who pulled when will be forgotten with a restart", "err", err)
	l, _ := ledger.Open(nil) // which cannot fail
	return l
}

// newBoard makes what --metrics-listen answers from.
func newBoard(o *options, keys *keyring, log *slog.Logger) *status.Board {
	return status.NewBoard(status.Facts{
		Version: readBuildInfo().Version,
		Started: time.Now(),
		Clients: keys.clients,
		Ready: func() error {
			if len(keys.Keys()) == 0 {
				return errors.New("no key may log in")
			}
			return nil
		},
		Now: time.Now,
	}, openLedger(o, log))
}

// clients are those who have a key or stand in the configuration.
func (k *keyring) clients() []status.Client {
	byName := make(map[string]status.Client)
	a := k.access.Load()
	for name, c := range a.clients {
		byName[name] = status.Client{Name: name, Root: c.Root, StaleAfter: c.StaleAfter.Duration}
	}
	for _, key := range k.Keys() {
		g := key.Grant.(*grant)
		byName[g.client] = status.Client{Name: g.client, Root: g.root.name, StaleAfter: g.limits.StaleAfter.Duration}
	}
	var all []status.Client
	for _, c := range byName {
		all = append(all, c)
	}
	return all
}

// limitHits are how often each limit of the SSH side was hit.
func limitHits(s sshsrv.Stats) map[string]uint64 {
	all := make(map[string]uint64)
	for name, n := range map[string]int64{
		"startups": s.Dropped, "penalty": s.Refused, "login_grace_time": s.TimedOut,
		"sessions": s.OverLimit, "flood": s.Flooding, "idle": s.Silent, "panic": s.Panics,
	} {
		all[name] = uint64(max(0, n))
	}
	return all
}

// outcome is how a command ended, for the board.
func outcome(g *grant, res rsyncproto.Result, began time.Time) status.Outcome {
	o := status.Outcome{Pull: ledger.Pull{
		Client: g.client, Began: began, Seconds: time.Since(began).Seconds(), Exit: res.ExitStatus,
		Listed: res.Listed, Sent: res.Sent, Failed: res.Failed, Vanished: res.Vanished, Bytes: res.Written,
	}, Sums: status.Sums{
		"computed": res.Sums.Computed, "remembered": res.Sums.Remembered,
		"verified": res.Sums.Verified, "differing": res.Sums.Differing,
	}}
	switch {
	case res.Refused != "":
		o.Result = status.Refused
	case res.Probe:
		o.Result = status.Probe
	case res.Complete:
		o.Result = status.Complete
	case res.Err == nil && res.DryRun:
		o.Result = status.DryRun
	case res.Err == nil:
		o.Result = status.Partial
	default:
		o.Result = status.Incomplete
	}
	return o
}

// watched runs a pull where it can be seen.
func watched(b *status.Board, g *grant, x *sshsrv.Exec, log *slog.Logger, run func(*rsyncproto.Progress) rsyncproto.Result) rsyncproto.Result {
	if b == nil {
		return run(nil)
	}
	began := time.Now()
	p := new(rsyncproto.Progress)
	end := b.Begin(status.Session{Client: g.client, From: x.Remote.Addr().String(), Root: g.root.name, Began: began}, func() status.Progress {
		return status.Progress{Listed: p.Listed.Load(), Sent: p.Sent.Load(), Bytes: p.Written.Load()}
	})
	last := status.Outcome{Result: status.Incomplete, Pull: ledger.Pull{Client: g.client, Began: began, Exit: sshsrv.StatusPanic}}
	defer func() { // also when the pull panics
		if err := end(last); err != nil {
			log.Error("a pull could not be entered in the state directory", "err", err)
		}
	}()
	res := run(p)
	seen := res
	if x.User == trialUser && res.Complete { // nobody has a backup of it
		seen.Complete, seen.DryRun = false, true
	}
	last = outcome(g, seen, began)
	return res
}

// statusTimeout bounds how long rrserve status waits for the server.
const statusTimeout = 10 * time.Second

func newStatusCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "status",
		Short: "ask the running server who pulled when",
		Long: `Ask the server that runs with --metrics-listen who pulled when, and print it.

Exit codes: 0 every client is fresh, 1 one is stale or the server does not answer.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.read(cmd.Flags()); err != nil {
				return err
			}
			if o.metricsListen == "" {
				return usagef("--metrics-listen ADDRESS is missing: that of the server")
			}
			r, err := fetchReport(cmd.Context(), o.metricsListen)
			if err != nil {
				return err
			}
			if err := status.WriteText(cmd.OutOrStdout(), r); err != nil {
				return err
			}
			if slices.ContainsFunc(r.Clients, func(s status.State) bool { return s.Stale }) {
				return errors.New("a client is stale")
			}
			return nil
		},
	}
	o.registerConfig(cmd.Flags())
	o.registerUnit(cmd.Flags())
	o.registerMetrics(cmd.Flags())
	return cmd
}

func fetchReport(ctx context.Context, address string) (*status.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	resp, err := getStatus(ctx, address, "/status.json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var r status.Report
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 16<<20)).Decode(&r); err != nil {
		return nil, fmt.Errorf("%s does not answer as rrserve does: %w", address, err)
	}
	return &r, nil
}

// getStatus asks what listens on the address of --metrics-listen.
func getStatus(ctx context.Context, address, path string) (*http.Response, error) {
	at, err := reachable(address)
	if err != nil {
		return nil, fmt.Errorf("--metrics-listen: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server does not answer: %w", err)
	}
	return resp, nil
}
