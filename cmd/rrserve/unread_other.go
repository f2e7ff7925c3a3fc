//go:build !linux

package main

import "os"

// whenUnread does nothing: the next write will tell.
func whenUnread(*os.File, func()) {}
