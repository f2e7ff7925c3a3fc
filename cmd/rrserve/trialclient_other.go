//go:build !linux && !darwin && !windows

package main

import (
	"errors"
	"runtime"
)

// newRsyncClient fails: the client does not compile here.
func newRsyncClient(string) (*rsyncClient, error) {
	return nil, errors.New("there is no client for --pull on " + runtime.GOOS)
}
