package sshsrv

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestParseStartups(t *testing.T) {
	for text, want := range map[string]Startups{
		"10:30:100": {10, 30, 100},
		"1:100:1":   {1, 100, 1},
		"50":        {50, 100, 50},
	} {
		if got, err := ParseStartups(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "10:30", "10:30:9", "10:0:20", "10:101:20", "10:30:100x", "50 ", "0:1:2", "1:2:3:4"} {
		if got, err := ParseStartups(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got, err := ParseStartups(DefaultStartups.String()); got != DefaultStartups || err != nil {
		t.Errorf("the default: %v, %v", got, err)
	}
}

// waiter is a connection that has been silent for a time and sent some bytes.
func waiter(from string, silent time.Duration, received int64, now time.Time) *conn {
	nc, other := net.Pipe()
	other.Close()
	c := &conn{net: watch(nc), source: sourceOf(netip.MustParseAddr(from))}
	c.net.heard.Store(now.Add(-silent).UnixNano())
	c.net.received.Store(received)
	return c
}

func TestWhoLosesItsPlace(t *testing.T) {
	now := time.Now()
	const long, short = 2 * patience, patience / 4
	for _, tt := range []struct {
		name     string
		waiting  []*conn
		newcomer string
		want     int // index in waiting; -1: nobody
	}{
		{"the silent one", []*conn{
			waiter("1.1.1.1", short, 0, now), waiter("1.1.1.1", long, 0, now), waiter("1.1.1.1", short, 0, now),
		}, "1.1.1.1", 1},
		{"nobody is silent", []*conn{
			waiter("1.1.1.1", short, 0, now), waiter("1.1.1.1", 0, 0, now), waiter("1.1.1.1", short, 3000, now),
		}, "1.1.1.1", -1},
		{"one that has not begun", []*conn{
			waiter("1.1.1.1", long, 3000, now), waiter("1.1.1.1", long, 40, now), waiter("1.1.1.1", 2*long, 3000, now),
		}, "1.1.1.1", 1},
		{"one from the source with most", []*conn{
			waiter("1.1.1.1", 9*long, 0, now), waiter("2.2.2.2", short, 0, now), waiter("2.2.2.2", long, 3000, now),
		}, "2.2.2.2", 2},
		{"a greedy source need not be silent", []*conn{
			waiter("1.1.1.1", short, 0, now), waiter("2001:db8::1", short, 3000, now), waiter("2001:db8::ffff", short, 0, now),
		}, "3.3.3.3", 2},
		{"except for a newcomer of its own", []*conn{
			waiter("1.1.1.1", short, 0, now), waiter("2.2.2.2", short, 0, now), waiter("2.2.2.2", short, 0, now),
		}, "2.2.2.2", -1},
	} {
		s := newStartups()
		s.allow(Startups{Start: 3, Rate: 100, Full: 3})
		for _, c := range tt.waiting {
			if dropped, wait := s.enter(c, now); dropped != nil || wait != 0 {
				t.Fatalf("%s: no room for the first three", tt.name)
			}
		}
		newcomer := waiter(tt.newcomer, 0, 0, now)
		dropped, wait := s.enter(newcomer, now)
		if tt.want < 0 {
			if dropped != nil || wait <= 0 || wait > patience-short {
				t.Errorf("%s: dropped %v, wait %v", tt.name, dropped, wait)
			}
			// It gets its place when one leaves, and nobody leaves twice.
			if !s.leave(tt.waiting[0]) || s.leave(tt.waiting[0]) || s.leave(newcomer) {
				t.Errorf("%s: leaving", tt.name)
			}
			if dropped, wait = s.enter(newcomer, now); dropped != nil || wait != 0 {
				t.Errorf("%s: no place after one had left", tt.name)
			}
		} else if dropped != tt.waiting[tt.want] || wait != 0 || s.leave(dropped) {
			t.Errorf("%s: wait %v, dropped another", tt.name, wait)
		}
		if s.len() != 3 {
			t.Errorf("%s: %d places taken", tt.name, s.len())
		}
	}
}

func TestEarlyDrop(t *testing.T) {
	l := Startups{Start: 10, Rate: 30, Full: 100}
	count := func(n int) (drops int) {
		for range 10000 {
			if l.drops(n) {
				drops++
			}
		}
		return drops
	}
	for _, tt := range []struct{ n, least, most int }{
		{9, 0, 0}, {10, 2700, 3300}, {55, 6200, 6800}, {99, 9700, 10000}, {100, 10000, 10000}, {1000, 10000, 10000},
	} {
		if got := count(tt.n); got < tt.least || got > tt.most {
			t.Errorf("%d waiting: %d of 10000 newcomers drop one", tt.n, got)
		}
	}
}

// Half-open connections, three times as many as there are places, do not keep a
// client out; they lose their places for it.
func TestHalfOpenConnectionsGiveWay(t *testing.T) {
	s := start(t, echo, func(c *Config) { c.Startups = Startups{Start: 3, Rate: 100, Full: 5} })
	var open []net.Conn
	for range 15 {
		open = append(open, s.silent())
	}
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 0 {
		t.Errorf("a client among half-open connections: %+v", got)
	}
	s.waitMatch(`msg="drop connection #\d+ from \[127\.0\.0\.1\]:\d+ on \[127\.0\.0\.1\]:\d+ past MaxStartups" from=127\.0\.0\.1`)
	if got := s.server.Stats(); got.Dropped < 10 || got.BeforeLogin > 5 || got.Accepted != 16 || got.Logins != 1 {
		t.Errorf("%+v", got)
	}
	for _, nc := range open {
		nc.Close()
	}
}
