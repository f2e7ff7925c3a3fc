//go:build long

package test

// The full numbers of TestRaces, for each setting of the walls.
const (
	raceSessions = 1000
	raceFlips    = 1_000_000
)
