//go:build linux || darwin || windows

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/gokrazy/rsync/rsyncclient"
)

// newRsyncClient makes the client of github.com/gokrazy/rsync, which is somebody
// else's idea of the protocol. Its panics are errors here; the stream keeps it from
// those in goroutines of its own.
func newRsyncClient(path string) (*rsyncClient, error) {
	client, err := rsyncclient.New([]string{"-r"}, rsyncclient.DontRestrict(), rsyncclient.WithStderr(io.Discard))
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context, stream io.ReadWriter, dir string) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("the client could not cope with what the server sent: %v", r)
			}
		}()
		_, err = client.Run(ctx, stream, []string{dir})
		return err
	}
	return &rsyncClient{options: client.ServerCommandOptions(path), run: run}, nil
}
