package sshsrv

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestSources(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"::1":                  "::/64",
	} {
		if got := sourceOf(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if sourceOf(netip.Addr{}).IsValid() {
		t.Error("no address is a source")
	}
}

func TestPenalties(t *testing.T) {
	now := time.Unix(1e9, 0)
	a, b := sourceOf(netip.MustParseAddr("192.0.2.1")), sourceOf(netip.MustParseAddr("192.0.2.2"))
	p := newPenalties()
	want := func(what string, source netip.Prefix, left time.Duration) {
		t.Helper()
		if got := p.left(source, now); got != left {
			t.Errorf("%s: refused for %v, want %v", what, got, left)
		}
	}
	p.add(a, penaltyAuthFail, now)
	p.add(a, penaltyAuthFail, now)
	want("two failures", a, 0)
	p.add(a, penaltyAuthFail, now)
	want("three failures", a, 15*time.Second)
	want("somebody else", b, 0)
	if p.active(now) != 1 {
		t.Errorf("%d sources are refused", p.active(now))
	}
	now = now.Add(14 * time.Second)
	want("once refused, to the end", a, time.Second)
	now = now.Add(time.Second)
	want("afterwards", a, 0)
	p.add(a, penaltyAuthFail, now)
	want("a new beginning", a, 0)
	for range 1000 {
		p.add(a, penaltyCrash, now)
	}
	want("the most", a, penaltyMax)

	p.spare(a, now)
	want("a login", a, 0)
	p.add(a, penaltyCrash, now)
	want("after a login", a, 0)
	now = now.Add(spared)
	p.add(a, penaltyCrash, now)
	want("a login long ago", a, penaltyCrash)

	p.add(netip.Prefix{}, penaltyCrash, now)
	want("no address", netip.Prefix{}, 0)
}

// The tables are bounded, and what ends soonest makes room.
func TestPenaltiesOfManySources(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := newPenalties()
	source := func(i int) netip.Prefix {
		return sourceOf(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(i)))))
	}
	p.add(source(0), penaltyMax, now)
	p.spare(source(0), now.Add(time.Hour))
	p.add(source(1), penaltyMax, now)
	for i := range 3 * maxSources {
		p.add(source(2+i), penaltyCrash, now)
		p.spare(source(4*maxSources+i), now)
	}
	if len(p.bad) != maxSources || len(p.spared) != maxSources {
		t.Errorf("%d and %d sources are remembered", len(p.bad), len(p.spared))
	}
	if p.left(source(1), now) != penaltyMax {
		t.Error("the longest penalty made room")
	}
	now = now.Add(penaltyMax)
	for i := range 1000 {
		p.add(source(20*maxSources+i), penaltyCrash, now)
	}
	if n := p.active(now); n != 1000 || len(p.bad) != maxSources {
		t.Errorf("after all had ended 1000 were added: %d of %d hold", n, len(p.bad))
	}
}

// Who only fails is refused before it costs a key exchange, and who has logged
// in is not.
func TestFailingSource(t *testing.T) {
	s := start(t, echo, nil)
	s.keygen("other", "ed25519")
	fail := func() result { return s.run(s.command("ssh", "other", "-v", "u@127.0.0.1", "hello")) }
	failures := 0
	for !strings.Contains(fail().Stderr, "Not allowed at this time") {
		failures++
		s.waitMatch(fmt.Sprintf(`(?s)(Connection closed by authenticating user.*){%d}`, failures)) // and has its penalty
		if failures == 50 {
			t.Fatal("who only fails is not refused")
		}
	}
	if failures < 4 { // or more, where they take more than 5 seconds
		t.Errorf("refused after %d failures", failures)
	}
	s.waitMatch(`msg="drop connection #\d+ from \[127\.0\.0\.1\]:\d+ on \[127\.0\.0\.1\]:\d+ penalty" from=127\.0\.0\.1`)
	if got := s.server.Stats(); got.Refused == 0 || got.Penalized != 1 {
		t.Errorf("%+v", got)
	}
	if err := s.server.SetPolicy(Policy{NoPenalties: true}); err != nil {
		t.Fatal(err)
	}
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 0 {
		t.Errorf("when there are no penalties any more: %+v", got)
	}

	s = start(t, echo, nil)
	s.keygen("other", "ed25519")
	s.ssh("u@127.0.0.1", "hello")
	for range 5 {
		fail()
	}
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 0 {
		t.Errorf("a source that had logged in: %+v", got)
	}

	s = start(t, echo, func(c *Config) { c.NoPenalties = true })
	s.keygen("other", "ed25519")
	for range 5 {
		fail()
	}
	if got := s.ssh("u@127.0.0.1", "hello"); got.Status != 0 {
		t.Errorf("without penalties: %+v", got)
	}
}
