//go:build !unix

package main

import "os"

// standardStreams returns the standard streams.
func standardStreams() (in, out, errOut *os.File) { return os.Stdin, os.Stdout, os.Stderr }

// whenUnread does nothing: the next write will tell.
func whenUnread(*os.File, func()) {}
