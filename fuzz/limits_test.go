package fuzz

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// maxTime is how long one input may take. Nearly all take less than a
// millisecond; the rest is room for a machine that is busy with other things. At
// 10 seconds go's fuzzer ends a target itself, and says less.
const maxTime = 8 * time.Second

// limits is the memory that a parser may allocate for an input, freed or not,
// in bytes: base, and perByte for each byte of the input. What the whole process
// allocates is counted, and a worker of the fuzzer may take some 30 KiB itself
// meanwhile: a smaller base finds nothing.
type limits struct{ base, perByte int }

// hold begins the work on n bytes of a stranger; the function that it returns
// ends it. Work that does not end takes the process down, so that the stacks of
// all goroutines are seen and the input is kept.
func (l limits) hold(t *testing.T, n int) (done func()) {
	watchdog := time.AfterFunc(maxTime, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s: an input of %d bytes takes more than %v", t.Name(), n, maxTime))
	})
	before := allocated()
	return func() {
		t.Helper()
		watchdog.Stop()
		if got, limit := allocated()-before, l.base+l.perByte*n; got > uint64(limit) {
			t.Errorf("%d bytes allocated for an input of %d, want at most %d", got, n, limit)
		}
	}
}

// allocated is the number of bytes that the process has allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// The limits themselves, so that they do not pass for kept when nothing is
// measured.
func TestLimits(t *testing.T) {
	before := allocated()
	sink = make([]byte, 1<<20)
	if n := allocated() - before; n < 1<<20 || n > 2<<20 {
		t.Errorf("%d bytes counted for 1 MiB", n)
	}
}

var sink []byte
