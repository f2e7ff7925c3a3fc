//go:build !unix

package main

import "os"

// takesFiles returns why no file can be made in a directory.
func takesFiles(dir string) error {
	_, err := os.Stat(dir)
	return err
}
