package sshsrv

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is the state of a server, and what happened since it was made.
type Stats struct {
	BeforeLogin int // connections that have not logged in
	Connections int // connections that have
	Sessions    int // commands running
	Penalized   int // sources that are refused

	Accepted  int64 // connections
	Logins    int64 // that succeeded
	Dropped   int64 // connections that lost their place before login (Startups)
	Refused   int64 // connections refused for a penalty
	TimedOut  int64 // logins not finished in time
	OverLimit int64 // commands and connections refused for MaxSessions, MaxSessionsPerKey, or too many sessions on one connection
	Flooding  int64 // connections cut for sending far more than a client needs
	Silent    int64 // connections cut because nothing came, or nothing was running
	Panics    int64 // in sessions and logins
}

// counters are the part of Stats that only grows.
type counters struct {
	accepted, logins, dropped, refused, timedOut, overLimit, flooding, silent, panics atomic.Int64
}

// Stats returns the state of the moment.
func (s *Server) Stats() Stats {
	return Stats{
		BeforeLogin: s.startups.len(),
		Connections: s.connections.len(),
		Sessions:    s.sessions.len(),
		Penalized:   s.penalties.active(time.Now()),
		Accepted:    s.count.accepted.Load(),
		Logins:      s.count.logins.Load(),
		Dropped:     s.count.dropped.Load(),
		Refused:     s.count.refused.Load(),
		TimedOut:    s.count.timedOut.Load(),
		OverLimit:   s.count.overLimit.Load(),
		Flooding:    s.count.flooding.Load(),
		Silent:      s.count.silent.Load(),
		Panics:      s.count.panics.Load(),
	}
}

// Alive returns once it could take every lock that connections and commands share.
// That it returns at all is what a watchdog wants to know.
func (s *Server) Alive() {
	s.Stats()
	s.isDraining()
}

// LogState writes the state of the moment to Config.Log: each running command,
// then the numbers of Stats and what the process uses.
func (s *Server) LogState() {
	now := time.Now()
	for _, r := range s.runningCommands() {
		r.log.Info("state of a session", "key", r.key.Name, "command", clip(r.command, maxLogged), "seconds", now.Sub(r.began).Seconds())
	}
	st := s.Stats()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.cfg.Log.Info("state",
		"before_login", st.BeforeLogin, "connections", st.Connections, "sessions", st.Sessions, "penalized", st.Penalized,
		"accepted", st.Accepted, "logins", st.Logins, "dropped", st.Dropped, "refused", st.Refused, "timed_out", st.TimedOut,
		"over_limit", st.OverLimit, "flooding", st.Flooding, "silent", st.Silent, "panics", st.Panics,
		"goroutines", runtime.NumGoroutine(), "heap_bytes", m.HeapAlloc, "memory_bytes", m.Sys-m.HeapReleased)
}

// command is one that runs.
type command struct {
	*conn
	command string
	began   time.Time
}

// runningCommands lists the commands, the oldest first.
func (s *Server) runningCommands() []command {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []command
	for c := range s.conns {
		c.mu.Lock()
		for x := range c.running {
			all = append(all, command{c, x.Command, c.running[x]})
		}
		c.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b command) int { return cmp.Compare(a.began.UnixNano(), b.began.UnixNano()) })
	return all
}

// seldom thins out a message that a peer can provoke at will.
type seldom struct {
	mu   sync.Mutex
	next time.Time
	n    int
}

const seldomInterval = 5 * time.Second

// due counts an event, and returns for how many of them a line is due; 0: none
// is.
func (s *seldom) due(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if now.Before(s.next) {
		return 0
	}
	n := s.n
	s.next, s.n = now.Add(seldomInterval), 0
	return n
}

// maxLogged bounds a text of the peer in the log, in bytes.
const maxLogged = 1024

// clip shortens a text for the log.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
