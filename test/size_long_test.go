//go:build long

package test

// The full sizes.
const (
	smallFiles    = 50_000  // TestSeedJob
	sparseSize    = 5 << 30 // TestSeedJob: a file larger than any 32 bit number
	interopStride = 1       // TestInterop: every line
	hugeFiles     = 1_000_000
	hugeDirectory = 300_000
)
