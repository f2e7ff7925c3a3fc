//go:build !linux

package main

import "io/fs"

// unlinked is asked on Linux only, where the server may lose sight of names.
func unlinked(fs.FileInfo) bool { return false }
