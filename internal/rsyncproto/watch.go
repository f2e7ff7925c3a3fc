package rsyncproto

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// What counts as progress of a client that is waited for: so much taken, in
// bytes, or so much sent in one piece. Less than the former leads nowhere at any
// pace that a connection has; less than the latter is not a message.
const (
	minTaken = 64 << 10
	minSent  = 4
)

// watch keeps the connection alive while the server is busy, and ends it when
// the server has been waiting for the client, to send or to take something, for
// as long as the client's own --timeout. The goroutine ends with the function
// returned.
func (s *session) watch() (stop func()) {
	if s.pull.Timeout <= 0 {
		return func() {}
	}
	limit := time.Duration(s.pull.Timeout) * time.Second
	// Less than half of what the client waits, with room for a slow network.
	lull := limit / 3
	return s.beside(lull/4, func() {
		s.w.KeepAlive(lull)
		if max(s.in.waits.present(), s.out.waits.present()) >= limit {
			s.giveUp(limit)
		}
	})
}

// watchIdle ends the session when the client was waited for as long as
// Config.Idle without progress. Time in which the server was busy, or slowed down
// by --bwlimit, does not count, and a client that is busy itself has to send or
// take something only once in that time.
func (s *session) watchIdle() (stop func()) {
	if s.Idle <= 0 {
		return func() {}
	}
	return s.beside(max(s.Idle/16, time.Millisecond), func() {
		idle := max(s.out.waits.total(), s.errOut.waits.total())
		if in := s.input.Load(); in != nil {
			idle = max(idle, in.waits.total())
		}
		if idle >= s.Idle {
			s.giveUp(s.Idle)
		}
	})
}

// giveUp ends a session whose client was waited for long enough.
func (s *session) giveUp(after time.Duration) {
	if s.timedOut.CompareAndSwap(0, int64(after)) {
		s.Abort()
	}
}

// beside calls f every d in a goroutine of its own until stop is called. A panic
// there aborts the session, and belongs to it: stop panics with it.
func (s *session) beside(d time.Duration, f func()) (stop func()) {
	done := make(chan struct{})
	panicked := make(chan any, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				panicked <- r
				s.Abort()
			}
		}()
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				f()
			}
		}
	}()
	return func() {
		close(done)
		select {
		case r := <-panicked:
			panic(r)
		default:
		}
	}
}

// waiting is the time for which the client is waited for in one direction.
type waiting struct {
	mu     sync.Mutex
	since  time.Time     // the present wait, zero for none
	before time.Duration // those since the last progress
}

func (w *waiting) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
}

func (w *waiting) end(progress bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.before += time.Since(w.since); progress {
		w.before = 0
	}
	w.since = time.Time{}
}

// present is how long the present wait has lasted, 0 if there is none.
func (w *waiting) present() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0
	}
	return time.Since(w.since)
}

// total is present with the waits since the last progress, 0 if there is no
// present one.
func (w *waiting) total() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0
	}
	return w.before + time.Since(w.since)
}

// outbox is a stream to the client, with the time of a write that the client does
// not take.
type outbox struct {
	w       io.Writer
	written *atomic.Int64 // bytes
	waits   waiting
	taken   int // since the last progress
}

func (o *outbox) Write(p []byte) (int, error) {
	o.waits.begin()
	n, err := o.w.Write(p)
	o.written.Add(int64(n))
	if o.taken += n; o.taken >= minTaken {
		o.taken = 0
	}
	o.waits.end(o.taken == 0)
	return n, err
}

// lower is the lower of two limits, of which 0 is none.
func lower(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// throttle returns w limited to kib KiB a second; 0 means no limit.
func throttle(ctx context.Context, w io.Writer, kib int64) io.Writer {
	if kib <= 0 {
		return w
	}
	burst := int(max(minBurst, min(kib*1024/8, maxBurst)))
	return &throttled{ctx, w, rate.NewLimiter(rate.Limit(kib)*1024, burst), burst}
}

// What is sent at once under --bwlimit, in bytes: an eighth of a second's
// share within these bounds, so that a slow stream is not taken for a dead one.
const (
	minBurst = 512
	maxBurst = 16 << 10
)

type throttled struct {
	ctx   context.Context
	w     io.Writer
	l     *rate.Limiter
	burst int
}

func (t *throttled) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		part := p[n:min(len(p), n+t.burst)]
		if err = t.l.WaitN(t.ctx, len(part)); err == nil {
			var m int
			m, err = t.w.Write(part)
			n += m
		}
	}
	return n, err
}
