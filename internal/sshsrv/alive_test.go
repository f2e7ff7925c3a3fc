package sshsrv

import (
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Alive waits for each lock that is shared, and for nothing else.
func TestAlive(t *testing.T) {
	s := start(t, cat, nil).server
	s.Alive()
	for name, mu := range map[string]*sync.Mutex{
		"server": &s.mu, "startups": &s.startups.mu, "penalties": &s.penalties.mu, "connections": &s.connections.mu, "sessions": &s.sessions.mu,
	} {
		mu.Lock()
		done := make(chan struct{})
		go func() { s.Alive(); close(done) }()
		if !aliveWaits(done) {
			t.Errorf("%s: alive while the lock is held", name)
		}
		mu.Unlock()
		<-done
	}
}

// aliveWaits reports whether Alive came to wait for a lock before it was done.
func aliveWaits(done <-chan struct{}) bool {
	stacks := make([]byte, 1<<20)
	for {
		select {
		case <-done:
			return false
		default:
		}
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "(*Server).Alive(") && strings.Contains(stack, "[sync.Mutex.Lock") {
				return true
			}
		}
	}
}
