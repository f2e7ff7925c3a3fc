//go:build !long

package test

// The sizes of "make test"; the build tag long has the full ones.
const (
	smallFiles    = 50_000
	sparseSize    = 64 << 20
	interopStride = 83 // a prime, so that each variant gets other lines
	hugeFiles     = 10_000
	hugeDirectory = 3_000
)
