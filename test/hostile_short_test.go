//go:build !long

package test

// The sizes of TestHostileClients; the build tag long has the full ones. There are
// more half-open connections than places for them.
const (
	halfOpen    = 600
	slowReaders = 20
	realPulls   = 8
)
