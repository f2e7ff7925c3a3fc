package rsyncproto

import (
	"context"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// watch keeps the connection alive while the server is busy and ends it when
// nothing moved for as long as the client's --timeout. The goroutine ends with
// the function returned.
func (s *session) watch() (stop func()) {
	if s.pull.Timeout <= 0 {
		return func() {}
	}
	limit := time.Duration(s.pull.Timeout) * time.Second
	// Less than half of what the client waits, with room for a slow network.
	lull := limit / 3
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(lull / 4)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			s.w.KeepAlive(lull)
			idle := time.Since(latest(s.w.LastWrite(), s.in.lastRead()))
			if idle >= limit {
				close(s.timedOut)
				s.Abort()
				return
			}
		}
	}()
	return func() { close(done) }
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// throttle returns w limited to kib KiB a second; 0 means no limit.
func throttle(ctx context.Context, w io.Writer, kib int64) io.Writer {
	if kib <= 0 {
		return w
	}
	return &throttled{ctx, w, rate.NewLimiter(rate.Limit(kib)*1024, throttleBurst)}
}

// throttleBurst is the most that is sent at once under --bwlimit, in bytes.
const throttleBurst = 16 << 10

type throttled struct {
	ctx context.Context
	w   io.Writer
	l   *rate.Limiter
}

func (t *throttled) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		part := p[n:min(len(p), n+throttleBurst)]
		if err = t.l.WaitN(t.ctx, len(part)); err == nil {
			var m int
			m, err = t.w.Write(part)
			n += m
		}
	}
	return n, err
}
