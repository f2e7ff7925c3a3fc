package sshsrv

import (
	"errors"
	"sync/atomic"
)

// A client may send so many bytes, packets included, before login: a greeting,
// two or three key exchanges, and a dozen keys offered and signed with make
// less than a third of it. x/crypto bounds the greeting and the attempts, but not
// the packets between them that it ignores.
const loginBytes = 64 << 10

// After login bytes are earned: each byte of a session's input that its command
// reads is worth inputWorth, since one byte may come in a packet of 36 and a
// client that means well sends four at least; each byte sent to the client pays
// for window adjustments, of which one of 52 bytes per 16 KiB is plenty; and time
// pays for keepalives. What was earned and not used is kept up to maxCredit.
//
// So a client cannot keep the server busy with packets that lead to nothing
// (ignored ones, requests, channels opened and closed, key exchanges). And it
// bounds memory: x/crypto keeps data that nobody reads, up to 2 MiB per
// channel, as they came, with 48 bytes of memory for a packet of one byte: 100 MiB
// for a channel, and 1 GiB for the ten of a connection.
const (
	maxCredit     = 16 << 20
	inputWorth    = 16
	outputPerByte = 64 // bytes of output that pay for one of input
	idleCredit    = 16 << 10
)

// errFlood ends a connection whose budget is used up.
var errFlood = errors.New("more was sent than a client needs")

// budget is what a connection may still send.
type budget struct{ left atomic.Int64 }

// spend takes n bytes off and reports whether they were there.
func (b *budget) spend(n int) bool { return b.left.Add(-int64(n)) >= 0 }

// earn adds n bytes.
func (b *budget) earn(n int) {
	if b.left.Load() < maxCredit {
		b.left.Add(int64(min(n, maxCredit)))
	}
}
