//go:build !long

package test

// The numbers of TestRaces; the build tag long has the full ones.
const (
	raceSessions = 40
	raceFlips    = 40_000
)
