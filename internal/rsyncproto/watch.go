package rsyncproto

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
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
			if since(&s.in.waits) >= limit || since(&s.out.waits) >= limit {
				close(s.timedOut)
				s.Abort()
				return
			}
		}
	}()
	return func() { close(done) }
}

// since is how long ago the time was that t holds in nanoseconds, 0 for none.
func since(t *atomic.Int64) time.Duration {
	began := t.Load()
	if began == 0 {
		return 0
	}
	return time.Since(time.Unix(0, began))
}

// outbox is the client's input, with the time of a write that the
// client does not take.
type outbox struct {
	w       io.Writer
	written *atomic.Int64 // bytes
	waits   atomic.Int64
}

func (o *outbox) Write(p []byte) (int, error) {
	o.waits.Store(time.Now().UnixNano())
	defer o.waits.Store(0)
	n, err := o.w.Write(p)
	o.written.Add(int64(n))
	return n, err
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
