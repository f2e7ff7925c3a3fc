//go:build long

package test

// The full sizes of TestHostileClients.
const (
	halfOpen    = 5000
	slowReaders = 200
	realPulls   = 50
)
