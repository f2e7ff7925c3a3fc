package sshsrv

import (
	"net/netip"
	"sync"
	"time"
)

// What a source is refused for, and for how long: the defaults of sshd_config
// PerSourcePenalties. Times add up.
const (
	penaltyAuthFail = 5 * time.Second  // keys were tried, none was right
	penaltyNoAuth   = time.Second      // went away, or spoke no SSH, without a try
	penaltyGrace    = 10 * time.Second // did not log in in time, or sent far too much
	penaltyCrash    = 90 * time.Second // made the server panic

	penaltyMin = 15 * time.Second // the sum from which on connections are refused
	penaltyMax = 10 * time.Minute
)

const (
	// spared is how long a source is exempt after a login: long enough for a
	// nightly backup to exempt the next one.
	spared = 48 * time.Hour
	// maxSources bounds each of the two tables. When one is full, what ends soonest
	// makes room.
	maxSources = 16384
)

// sourceOf is what counts as one source: an IPv4 address, or an IPv6 network of
// 64 bits, which is what one customer gets at least. An address that is none
// gives the zero Prefix.
func sourceOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// penalties remembers which sources misbehaved and which logged in.
type penalties struct {
	mu     sync.Mutex
	bad    map[netip.Prefix]penalty
	spared map[netip.Prefix]penalty
}

type penalty struct {
	ends   time.Time
	active bool // penaltyMin was reached: holds until it ends
}

func newPenalties() *penalties {
	return &penalties{bad: make(map[netip.Prefix]penalty), spared: make(map[netip.Prefix]penalty)}
}

// add penalizes a source, unless it logged in lately.
func (p *penalties) add(source netip.Prefix, d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !source.IsValid() || p.spared[source].ends.After(now) {
		return
	}
	b, known := p.bad[source]
	if !b.ends.After(now) {
		b = penalty{ends: now}
	}
	if !known {
		makeRoom(p.bad)
	}
	b.ends = b.ends.Add(d)
	if limit := now.Add(penaltyMax); b.ends.After(limit) {
		b.ends = limit
	}
	b.active = b.active || b.ends.Sub(now) >= penaltyMin
	p.bad[source] = b
}

// spare exempts a source that logged in.
func (p *penalties) spare(source netip.Prefix, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !source.IsValid() {
		return
	}
	if _, known := p.spared[source]; !known {
		makeRoom(p.spared)
	}
	p.spared[source] = penalty{ends: now.Add(spared)}
	delete(p.bad, source)
}

// left is how long a source is still refused, 0 if it is not.
func (p *penalties) left(source netip.Prefix, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, known := p.bad[source]
	switch {
	case !known:
		return 0
	case !b.ends.After(now):
		delete(p.bad, source)
		return 0
	case !b.active:
		return 0
	}
	return b.ends.Sub(now)
}

// active counts the sources that are refused now.
func (p *penalties) active(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, b := range p.bad {
		if b.active && b.ends.After(now) {
			n++
		}
	}
	return n
}

// makeRoom deletes from a full table the one of some entries that ends first, or
// ended first.
func makeRoom(table map[netip.Prefix]penalty) {
	if len(table) < maxSources {
		return
	}
	const looked = 32
	var soonest netip.Prefix
	n := 0
	for source, b := range table { // begins anywhere
		if n == 0 || b.ends.Before(table[soonest].ends) {
			soonest = source
		}
		if n++; n == looked {
			break
		}
	}
	delete(table, soonest)
}
