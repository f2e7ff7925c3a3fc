package sshsrv

import "sync"

// seats counts what logged-in clients hold, in all and for each key.
type seats struct {
	mu            sync.Mutex
	total, perKey int // how many there are
	taken         int
	byKey         map[string]int // by fingerprint; nothing is kept for a key with none
}

func newSeats() *seats { return &seats{byKey: make(map[string]int)} }

// allow says how many seats there are. Those taken beyond that stay so until they
// are left.
func (s *seats) allow(total, perKey int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total, s.perKey = total, perKey
}

// take takes a seat for a key. Without one it says which limit was met: its name
// and its number.
func (s *seats) take(key AuthorizedKey) (limit string, max int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.taken >= s.total:
		return "in all", s.total, false
	case s.byKey[key.Fingerprint] >= s.perKey:
		return "per key", s.perKey, false
	}
	s.taken++
	s.byKey[key.Fingerprint]++
	return "", 0, true
}

func (s *seats) leave(key AuthorizedKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.byKey[key.Fingerprint]--; s.byKey[key.Fingerprint] == 0 {
		delete(s.byKey, key.Fingerprint)
	}
}

func (s *seats) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
