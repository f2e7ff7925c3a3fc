//go:build !unix

package main

// onStateSignal does nothing: there is no SIGUSR1.
func onStateSignal(func()) (stop func()) { return func() {} }
