// Package status tells what a server has done and is doing: to Prometheus, to
// health checks, to a person with a browser or a terminal. It only reads and
// counts; nothing can be changed through it.
//
//	board.go      what there is to tell
//	freshness.go  whether each client has pulled lately
//	metrics.go    the same for Prometheus
//	http.go       the addresses
//	page.go       the pages, page.html their template, plot.go their pictures
//	text.go       the terminal
package status

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rrserve/internal/ledger"
)

// Client is one that is configured, whether it ever pulled or not.
type Client struct {
	Name       string        `json:"name"`
	Root       string        `json:"root"`        // name of what it may see
	StaleAfter time.Duration `json:"stale_after"` // age at which its last complete pull is stale; 0: never
}

// Session is a pull that is running.
type Session struct {
	Client string    `json:"client"`
	From   string    `json:"from"` // address
	Root   string    `json:"root"`
	Began  time.Time `json:"began"`
	Progress
	id uint64
}

// Progress is how far a pull is.
type Progress struct {
	Listed int64 `json:"listed"` // entries of the file list
	Sent   int64 `json:"sent"`   // files whose data were sent
	Bytes  int64 `json:"bytes"`  // sent to the client, before encryption
}

// Outcome is how a command of a client ended.
type Outcome struct {
	Result string // one of Results
	Pull   ledger.Pull
	Sums   Sums
}

// Sums are checksums of files that clients asked for, by what was done for them.
type Sums map[string]int64

// Results of commands, the values of the label "result".
const (
	Complete   = "complete"   // all that was asked for arrived
	DryRun     = "dry_run"    // nothing was meant to arrive: -n, --list-only
	Partial    = "partial"    // files could not be read, exit code 23
	Incomplete = "incomplete" // ended before the end of the protocol
	Refused    = "refused"
	Probe      = "probe" // a command that backup tools try before a pull
)

// Results are all of them.
var Results = []string{Complete, DryRun, Partial, Incomplete, Refused, Probe}

// Facts are what a server says about itself when it is asked.
type Facts struct {
	Version string
	Started time.Time
	// Clients returns the configured clients.
	Clients func() []Client
	// Ready is why a new pull could not be served, nil if it could.
	Ready func() error
	Now   func() time.Time
}

// Board collects what there is to tell. It is safe for concurrent use.
type Board struct {
	facts  Facts
	ledger *ledger.Ledger

	mu      sync.Mutex
	walls   []string                 // of the sandbox, that hold
	limits  func() map[string]uint64 // how often each was hit
	id      uint64
	running map[uint64]*running
	results map[string]uint64
	sums    Sums
	clients map[string]*totals
}

type running struct {
	Session
	progress func() Progress
}

// totals are counters of one client.
type totals struct {
	Bytes, Sent, Failed atomic.Uint64
}

// maxClients bounds the clients that are counted one by one: certificates can
// bring any number of names. The rest is counted together, as otherClient.
const (
	maxClients  = 1000
	otherClient = "(other)"
)

// NewBoard returns a board that enters pulls into l.
func NewBoard(facts Facts, l *ledger.Ledger) *Board {
	b := &Board{facts: facts, ledger: l, running: make(map[uint64]*running), results: make(map[string]uint64), sums: Sums{"computed": 0, "remembered": 0, "verified": 0, "differing": 0}, clients: make(map[string]*totals)}
	for _, r := range Results {
		b.results[r] = 0
	}
	return b
}

// Started tells what is only known once the server is confined: the walls that
// hold, and how often each of its limits was hit, by the limit's name.
func (b *Board) Started(walls []string, limits func() map[string]uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.walls, b.limits = walls, limits
}

// Begin shows a session until end is called. progress is called from other
// goroutines, also shortly after end.
func (b *Board) Begin(s Session, progress func() Progress) (end func(Outcome) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.id++
	s.id = b.id
	b.running[s.id] = &running{s, progress}
	return func(o Outcome) error { return b.end(s.id, o) }
}

// end counts what a session did. The error says that it will be forgotten with
// the next restart.
func (b *Board) end(id uint64, o Outcome) error {
	b.mu.Lock()
	delete(b.running, id)
	b.results[o.Result]++
	for what, n := range o.Sums {
		b.sums[what] += n
	}
	t := b.totals(o.Pull.Client)
	b.mu.Unlock()
	t.Bytes.Add(uint64(max(0, o.Pull.Bytes)))
	t.Sent.Add(uint64(max(0, o.Pull.Sent)))
	t.Failed.Add(uint64(max(0, o.Pull.Failed)))
	if o.Result == Refused || o.Result == Probe {
		return nil
	}
	o.Pull.Complete = o.Result == Complete
	return b.ledger.Add(o.Pull)
}

func (b *Board) totals(client string) *totals {
	if b.clients[client] == nil {
		if len(b.clients) >= maxClients {
			client = otherClient
		}
		if b.clients[client] == nil {
			b.clients[client] = new(totals)
		}
	}
	return b.clients[client]
}

// Running returns the sessions that are running, oldest first.
func (b *Board) Running() []Session {
	b.mu.Lock()
	all := slices.SortedFunc(maps.Values(b.running), func(x, y *running) int { return cmp.Compare(x.id, y.id) })
	b.mu.Unlock()
	sessions := make([]Session, len(all))
	for i, r := range all {
		sessions[i] = r.Session
		sessions[i].Progress = r.progress()
	}
	return sessions
}
