//go:build unix

package main

import "golang.org/x/sys/unix"

// takesFiles returns why no file can be made in a directory.
func takesFiles(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
