package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time since the boot by CLOCK_MONOTONIC, which Go's own clock
// does not show.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // never fails
	return time.Duration(ts.Nano())
}
