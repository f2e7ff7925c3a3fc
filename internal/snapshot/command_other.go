//go:build !unix || nosnapshot

package snapshot

import (
	"errors"
	"log/slog"
)

var errNone = errors.New("this binary runs no commands; one for a Unix system does, unless it was built with -tags nosnapshot")

// Check fails in this binary.
func (Command) Check() error { return errNone }

// Start fails in this binary.
func Start(string, []string, []Command) (*Client, error) { return nil, errNone }

func run(Command, *slog.Logger) (string, func(), error) { return "", nil, errNone }
