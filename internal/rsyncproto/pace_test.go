package rsyncproto

import (
	"testing"
	"testing/synctest"
	"time"

	"rrserve/internal/rsyncproto/wire"
)

// link is a connection that takes a time for each write.
type link struct{ delay time.Duration }

func (l *link) Write(p []byte) (int, error) {
	time.Sleep(l.delay)
	return len(p), nil
}

// TestPace sends over a link that is quick, then slow, then neither, then quick.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l link
		w := wire.NewWriter(&l)
		p := pace{w: w}
		// send reports of how many of the literals of 32 KiB it was said to hurry.
		send := func(n int, delay time.Duration) (hurried int) {
			l.delay = delay
			for range n {
				if p.literal(32 << 10) {
					hurried++
				}
				time.Sleep(time.Millisecond) // reading and encoding
				w.Write(make([]byte, 32<<10))
				w.Flush()
			}
			return hurried
		}
		const decision = paceEvery / (32 << 10)
		if n := send(10*decision, 0); n != 9*decision {
			t.Errorf("quick: %d literals in a hurry, want all but the first 4 MiB", n)
		}
		if n := send(10*decision, 4*time.Millisecond); n != decision {
			t.Errorf("slow: %d literals in a hurry, want 4 MiB", n)
		}
		if n := send(10*decision, 300*time.Microsecond); n != 0 {
			t.Errorf("between: %d literals in a hurry, want none as before", n)
		}
		if n := send(10*decision, 100*time.Microsecond); n != 9*decision {
			t.Errorf("quick again: %d literals in a hurry, want all but 4 MiB", n)
		}
		if n := send(10*decision, 300*time.Microsecond); n != 10*decision {
			t.Errorf("between: %d literals in a hurry, want all as before", n)
		}
	})
}
