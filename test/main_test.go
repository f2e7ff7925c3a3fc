// Package test proves rrserve from outside, with stock rsync clients: every
// command line is run against OpenSSH with rsync and against rrserve, and
// against what a user expects.
package test

import (
	"os"
	"testing"

	"rrserve/internal/rrtest"
)

func TestMain(m *testing.M) { os.Exit(rrtest.Main(m)) }
