package status

import (
	"cmp"
	"slices"
	"time"

	"rrserve/internal/ledger"
)

// clockSlack is how far ahead of the clock a pull may have ended that counts: clocks
// are set back a little now and then. One that is further ahead was entered by a clock
// that was wrong, and would make its client look fresh until that day.
const clockSlack = time.Hour

// State is what one client did last, and whether that is good enough.
type State struct {
	Client
	Last     *ledger.Pull `json:"last,omitempty"`          // the newest; nil: none
	Complete *ledger.Pull `json:"last_complete,omitempty"` // the newest complete one; nil: none
	// Stale says that the last complete pull is older than StaleAfter. A
	// client that never completed one counts from the start of the server, and so
	// does one whose pull ended in the future.
	Stale bool          `json:"stale"`
	Age   time.Duration `json:"age"` // since then
}

// Known reports whether the client ever completed a pull.
func (s *State) Known() bool { return s.Complete != nil }

// States returns all clients, configured or remembered, by name.
func (b *Board) States() []State {
	now := b.facts.Now()
	byName := make(map[string]*State)
	for _, c := range b.facts.Clients() {
		byName[c.Name] = &State{Client: c}
	}
	for _, last := range b.ledger.Clients() {
		s := byName[last.Client]
		if s == nil { // its key was taken away
			s = &State{Client: Client{Name: last.Client}}
			byName[last.Client] = s
		}
		s.Last, s.Complete = &last.Pull, last.Complete
	}
	states := make([]State, 0, len(byName))
	for _, s := range byName {
		since := b.facts.Started
		if s.Complete != nil && !s.Complete.End().After(now.Add(clockSlack)) {
			since = s.Complete.End()
		}
		s.Age = max(0, now.Sub(since))
		s.Stale = s.StaleAfter > 0 && s.Age > s.StaleAfter
		states = append(states, *s)
	}
	slices.SortFunc(states, func(x, y State) int { return cmp.Compare(x.Name, y.Name) })
	return states
}
