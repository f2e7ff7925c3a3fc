package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
)

func newHealthcheckCommand() *cobra.Command {
	var o options
	var address string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "see whether the running server answers",
		Long: `See whether the server that runs with these flags, environment and configuration
file answers: with --metrics-listen by its /livez, otherwise by the SSH
handshake up to the host key, which must be the server's own where its file can
be read. That leaves a line in the server's log; /livez leaves none.

Exit codes: 0 it answers within ` + answerTimeout.String() + `, 1 it does not, and why is on standard error.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.read(cmd.Flags()); err != nil {
				return err
			}
			if o.metricsListen != "" && address == "" {
				return live(cmd.Context(), o.metricsListen)
			}
			if address == "" {
				address = o.listen
			}
			return provesHostKey(cmd.Context(), &o, address)
		},
	}
	o.registerListen(cmd.Flags())
	o.registerConfig(cmd.Flags())
	o.registerUnit(cmd.Flags())
	o.registerMetrics(cmd.Flags())
	cmd.Flags().StringVar(&address, "address", "", addressUsage)
	return cmd
}

const addressUsage = "connect to the server's SSH port at this `HOST:PORT` (default: that of --listen)"

// live asks the status server.
func live(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := getStatus(ctx, address, "/livez")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/livez: %s", address, resp.Status)
	}
	return nil
}

// provesHostKey lets the server prove its host key and goes away before a login.
func provesHostKey(ctx context.Context, o *options, address string) error {
	address, err := reachable(address)
	if err != nil {
		return err
	}
	var known []hostKeyFile
	if _, err := os.Stat(o.defaultHostKey()); err == nil || len(o.givenHostKeys()) > 0 {
		known, _ = loadHostKeys(o, slog.New(slog.DiscardHandler)) // none that cannot be read
	}
	server, err := dialServer(ctx, address, &ssh.ClientConfig{User: "healthcheck", ClientVersion: "SSH-2.0-rrserve_healthcheck"}, known)
	if server.Client != nil {
		server.Close()
		return fmt.Errorf("%s: lets in whoever asks, so it is not rrserve", address)
	}
	if server.hostKey == "" {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}
