//go:build !unix

package main

import "os"

// standardStreams returns the standard streams.
func standardStreams() (in, out, errOut *os.File, err error) {
	return os.Stdin, os.Stdout, os.Stderr, nil
}
