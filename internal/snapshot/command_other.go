//go:build !unix

package snapshot

import (
	"errors"
	"log/slog"
)

func start(Command, *slog.Logger) (string, func(), error) {
	return "", nil, errors.New("snapshot commands run on Unix systems only")
}
