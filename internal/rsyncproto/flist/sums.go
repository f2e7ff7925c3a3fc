package flist

import (
	"context"
	"runtime"
	"sync"

	"rrserve/internal/vfs"
)

// Summer computes the checksums of -c. Several goroutines use it at once.
type Summer interface {
	// Sum returns the checksum of the regular file p, which was listed as in, of
	// the length that the negotiated algorithm has; nil if it cannot be read, or
	// when ctx ends.
	Sum(ctx context.Context, p vfs.Path, in *vfs.Info) []byte
	// Slow reports whether several files at once are read no faster than one
	// after the other.
	Slow() bool
}

// While an entry is sent, the checksums of those that follow it in its directory
// are computed, in the same order.
const (
	// maxSummers is how many goroutines of a session compute checksums, with the
	// one that sends.
	maxSummers = 4
	// maxSumAhead is how many files may wait to be sent.
	maxSumAhead = 1024
	// What is handed over at a time, in bytes to read, so that small files do not
	// cost more to hand over than to read. Opening a file takes as long as reading
	// sumOpen. A directory with less than two such batches is left alone.
	sumBatchSize = 256 << 10
	sumOpen      = 16 << 10
	// sumFlush is how much may be read, in bytes, before the lists that are
	// complete are sent: the client compares its own files meanwhile.
	sumFlush = 16 << 20
)

// sumAhead computes checksums in the order in which they are wanted. It is used
// by one goroutine.
type sumAhead struct {
	sums    Summer
	ctx     context.Context
	cancel  context.CancelFunc
	queue   chan *sumBatch // what nobody has begun; nil until there is something
	begun   map[vfs.Path]*summed
	running sync.WaitGroup
	cost    int64 // of what was computed since it was last due
}

// sumBatch is a few files whose checksums are computed one after the other.
type sumBatch struct {
	files []*summed
	done  chan struct{}
	// panicked is what computing them panicked with: it belongs to the session
	// that waits for them, not to the process.
	panicked any
}

// summed is a file and, once the batch is done, its checksum.
type summed struct {
	path  vfs.Path
	info  vfs.Info
	sum   []byte
	batch *sumBatch
}

func newSumAhead(ctx context.Context, sums Summer) *sumAhead {
	a := &sumAhead{sums: sums}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// Sum is that of the Summer, for the next entry that is sent.
func (a *sumAhead) Sum(p vfs.Path, in *vfs.Info) []byte {
	a.cost += sumCost(in)
	f := a.begun[p]
	if f == nil {
		return a.sums.Sum(a.ctx, p, in)
	}
	delete(a.begun, p)
	a.wait(f.batch)
	return f.sum
}

// due reports whether the client should get what is complete.
func (a *sumAhead) due() bool {
	if a.cost < sumFlush {
		return false
	}
	a.cost = 0
	return true
}

// wait returns when the batch is done, and lends a hand meanwhile.
func (a *sumAhead) wait(b *sumBatch) {
	for {
		select {
		case <-b.done:
			if b.panicked != nil {
				panic(b.panicked)
			}
			return
		default:
		}
		select {
		case <-b.done:
		case other := <-a.queue:
			other.compute(a)
		}
	}
}

// worth reports whether the files are so much to read that it pays to hand them
// over.
func (a *sumAhead) worth(infos []vfs.Info) bool {
	cost := int64(0)
	for i := range infos {
		if cost += sumCost(&infos[i]); cost >= 2*sumBatchSize {
			return true
		}
	}
	return false
}

// sumCost is what a checksum costs, in bytes to read; 0 for what has none.
func sumCost(in *vfs.Info) int64 {
	if in.Err != nil || !in.IsRegular() {
		return 0
	}
	return in.Size + sumOpen
}

// hungry reports whether it is time to begin with further files.
func (a *sumAhead) hungry() bool { return len(a.begun) < maxSumAhead/2 }

// begin hands over the first of infos as far as there is room: those that wanted,
// given the index, has a path for. It returns how many of infos it has looked at.
func (a *sumAhead) begin(infos []vfs.Info, wanted func(i int) (vfs.Path, bool)) (n int) {
	a.start()
	b, cost := newSumBatch(), int64(0)
	for ; n < len(infos) && len(a.begun) < maxSumAhead; n++ {
		in := &infos[n]
		if sumCost(in) == 0 {
			continue
		}
		p, ok := wanted(n)
		if !ok || a.begun[p] != nil {
			continue
		}
		f := &summed{path: p, info: *in, batch: b}
		a.begun[p] = f
		b.files = append(b.files, f)
		if cost += sumCost(in); cost >= sumBatchSize {
			a.hand(b)
			b, cost = newSumBatch(), 0
		}
	}
	a.hand(b)
	return n
}

func newSumBatch() *sumBatch { return &sumBatch{done: make(chan struct{})} }

// hand puts a batch into the queue. What was begun and forgotten may still be in
// there and leave no room.
func (a *sumAhead) hand(b *sumBatch) {
	if len(b.files) == 0 {
		return
	}
	select {
	case a.queue <- b:
	default:
		b.compute(a)
	}
}

// start begins the goroutines when they are first needed.
func (a *sumAhead) start() {
	if a.queue != nil {
		return
	}
	a.begun = map[vfs.Path]*summed{}
	a.queue = make(chan *sumBatch, maxSumAhead)
	for range min(max(2, runtime.GOMAXPROCS(0)), maxSummers) - 1 {
		a.running.Go(func() {
			for !a.sums.Slow() {
				b, ok := <-a.queue
				if !ok {
					return
				}
				b.compute(a)
			}
		})
	}
}

func (b *sumBatch) compute(a *sumAhead) {
	defer close(b.done)
	defer func() { b.panicked = recover() }()
	for _, f := range b.files {
		if a.ctx.Err() != nil {
			return
		}
		f.sum = a.sums.Sum(a.ctx, f.path, &f.info)
	}
}

// forget drops what was begun for entries that were not sent after all.
func (a *sumAhead) forget() { clear(a.begun) }

// close waits until nothing is computed any more.
func (a *sumAhead) close() {
	a.cancel()
	if a.queue != nil {
		close(a.queue)
	}
	a.running.Wait()
}
