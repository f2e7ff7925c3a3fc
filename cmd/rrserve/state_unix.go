//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onStateSignal calls show at each SIGUSR1, until the function returned is
// called.
func onStateSignal(show func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				show()
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}
