//go:build unix

package jail_test

import (
	"os"
	"syscall"
	"testing"
)

// TestMain sets the usual umask: tests look at modes, and at what others may read.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	os.Exit(m.Run())
}
