//go:build long

package test

// The full sizes of TestSeedJob: a file larger than any 32 bit number.
const (
	smallFiles = 50_000
	sparseSize = 5 << 30
)
