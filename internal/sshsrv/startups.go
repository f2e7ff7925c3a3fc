package sshsrv

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Startups bounds the connections that have not logged in yet (sshd_config
// MaxStartups, same notation). From Start of them on each newcomer drops one
// that stalls with a probability of Rate percent, which grows to 100 percent at
// Full; beyond Full there is no place.
//
// Unlike sshd's, the drop does not hit the newcomer, who may be the nightly
// backup and does not try again, but one that has been silent for patience, so
// that half-open connections lose their places to those that go on. A newcomer
// that finds nobody to drop waits for its place, and those behind it wait in the
// kernel's queue: a flood delays logins, and does not fail them.
type Startups struct {
	Start, Rate, Full int
}

// DefaultStartups is what the zero Startups mean.
var DefaultStartups = Startups{Start: 30, Rate: 30, Full: 300}

// ParseStartups reads "START:RATE:FULL", or "FULL" alone for no early drop.
func ParseStartups(text string) (Startups, error) {
	var s Startups
	if _, err := fmt.Sscanf(text, "%d:%d:%d", &s.Start, &s.Rate, &s.Full); err != nil {
		s = Startups{Rate: 100}
		if _, err := fmt.Sscanf(text, "%d", &s.Full); err != nil {
			return Startups{}, fmt.Errorf("%q is neither START:RATE:FULL nor FULL", text)
		}
		s.Start = s.Full
	}
	switch {
	case s.String() != text && fmt.Sprint(s.Full) != text:
		return Startups{}, fmt.Errorf("%q is neither START:RATE:FULL nor FULL", text)
	case s.Start < 1 || s.Full < s.Start:
		return Startups{}, fmt.Errorf("%q: START must be 1 or more, and FULL not below it", text)
	case s.Rate < 1 || s.Rate > 100:
		return Startups{}, fmt.Errorf("%q: RATE must be 1 to 100 percent", text)
	}
	return s, nil
}

func (s Startups) String() string { return fmt.Sprintf("%d:%d:%d", s.Start, s.Rate, s.Full) }

// drops reports whether the newcomer to n connections costs one its place.
func (s Startups) drops(n int) bool {
	if n < s.Start || n >= s.Full {
		return n >= s.Full
	}
	percent := s.Rate + (100-s.Rate)*(n-s.Start)/(s.Full-s.Start)
	return rand.IntN(100) < percent
}

const (
	// patience is how long a connection before login may be silent before it can
	// lose its place to another.
	patience = time.Second
	// helloBytes is more than a client can have sent before its key exchange.
	helloBytes = 512
)

// startups holds the connections that have not logged in.
type startups struct {
	freed chan struct{} // something left since it was last received from

	mu      sync.Mutex
	limit   Startups
	waiting map[*conn]struct{}
	sources map[netip.Prefix]int // how many of waiting are from each
}

func newStartups() *startups {
	return &startups{
		freed:   make(chan struct{}, 1),
		waiting: make(map[*conn]struct{}),
		sources: make(map[netip.Prefix]int),
	}
}

// allow says how many places there are.
func (s *startups) allow(limit Startups) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
}

// enter gives c a place, and returns the connection that lost its own for it,
// if any. Without a place it returns how long to wait before trying again.
func (s *startups) enter(c *conn, now time.Time) (dropped *conn, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.waiting)
	if s.limit.drops(n) {
		dropped, wait = s.victim(c, now)
		if dropped == nil && n >= s.limit.Full {
			return nil, wait
		}
		if dropped != nil {
			s.remove(dropped)
		}
	}
	s.add(c)
	return dropped, 0
}

// victim chooses among the connections that stall: from the source that has
// most, and of these one that has not come to its key exchange rather than one
// that has. If the newcomer is from elsewhere, a source with more than half of all
// places need not stall. When there is none it returns the time until there may be.
func (s *startups) victim(newcomer *conn, now time.Time) (*conn, time.Duration) {
	wait := patience
	var best *conn
	seen := 0 // connections as good as best
	for c := range s.waiting {
		greedy := s.sources[c.source] > s.limit.Full/2 && c.source != newcomer.source
		if left := patience - c.net.silence(now); left > 0 && !greedy {
			wait = min(wait, left)
			continue
		}
		better := 0
		if best != nil {
			better = s.sources[c.source] - s.sources[best.source]
			if better == 0 {
				better = best.net.begun() - c.net.begun()
			}
		}
		switch {
		case best == nil || better > 0:
			best, seen = c, 1
		case better == 0:
			if seen++; rand.IntN(seen) == 0 {
				best = c
			}
		}
	}
	return best, wait
}

// leave gives up the place of c; false if it had lost it before.
func (s *startups) leave(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.waiting[c]; !ok {
		return false
	}
	s.remove(c)
	select {
	case s.freed <- struct{}{}:
	default:
	}
	return true
}

// rename changes what startups looks at of c, its source; false if it has lost its
// place.
func (s *startups) rename(c *conn, change func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.waiting[c]; !ok {
		return false
	}
	s.remove(c)
	change()
	s.add(c)
	return true
}

func (s *startups) add(c *conn) {
	s.waiting[c] = struct{}{}
	s.sources[c.source]++
}

func (s *startups) remove(c *conn) {
	delete(s.waiting, c)
	if s.sources[c.source]--; s.sources[c.source] == 0 {
		delete(s.sources, c.source)
	}
}

func (s *startups) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}
