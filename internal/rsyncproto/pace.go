package rsyncproto

import (
	"time"

	"rrserve/internal/rsyncproto/wire"
)

// pace decides whether a session hurries: whether it spends less time on each
// literal and sends more bytes. That is right as long as the link takes them at
// once, and wrong where the link is what everybody waits for.
type pace struct {
	w        *wire.Writer
	hurry    bool
	literals int           // bytes since the last decision
	at       time.Time     // of the last decision
	writing  time.Duration // all writes up to then
}

// paceEvery is the number of bytes of literals between two decisions. Each change of the
// level costs the window, and memory for another encoder.
const paceEvery = 4 << 20

// The shares of the time that writes take: below the first the session begins
// to hurry, above the second it stops. Encrypting and copying to a kernel that takes
// everything at once is up to an eighth.
const (
	paceHurry = 0.25
	paceStop  = 0.5
)

// literal takes note of n bytes that come next and reports whether to hurry.
func (p *pace) literal(n int) bool {
	first := p.at.IsZero()
	if p.literals += n; !first && p.literals < paceEvery {
		return p.hurry
	}
	now, writing := time.Now(), p.w.Writing()
	share := float64(writing-p.writing) / float64(now.Sub(p.at))
	p.literals, p.at, p.writing = 0, now, writing
	switch {
	case first:
	case share < paceHurry:
		p.hurry = true
	case share > paceStop:
		p.hurry = false
	}
	return p.hurry
}
