//go:build !long

package test

// The sizes of TestSeedJob; the build tag long has the full ones.
const (
	smallFiles = 50_000
	sparseSize = 64 << 20
)
