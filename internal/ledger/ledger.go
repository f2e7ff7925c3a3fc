// Package ledger remembers which client pulled when, so that somebody can be
// told when one has not for too long. It survives a restart of the server.
//
// The memory is one file of fixed size, a ring of slots. A slot is one line of
// JSON, padded with blanks:
//
//	{"n":17,"client":"pi","began":"2026-11-27T02:00:04Z","seconds":41.8,"complete":true,...}
//
// The file is opened once and never grows, shrinks or moves: a process that has
// given up its right to open files for writing can keep it. A slot that was
// being written when the power failed does not parse, and is free.
package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// SlotSize is the length of a slot in bytes, with its line feed.
	SlotSize = 512
	// Slots is the number of slots in a file; 2 MiB hold eleven years of a
	// nightly pull.
	Slots = 4096
	// FileSize is the length of a file in bytes.
	FileSize = Slots * SlotSize
	// MaxName bounds the name of a client in bytes; the rest is cut off.
	MaxName = 100
)

// Pull is one pull that ended, however it ended.
type Pull struct {
	Client   string    `json:"client"`
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"`
	Complete bool      `json:"complete"` // all that was asked for arrived, and it was no dry run
	Exit     int       `json:"exit"`     // rsync's exit code at this end
	Listed   int64     `json:"listed"`   // entries of the file list
	Sent     int64     `json:"sent"`     // files whose data were sent
	Failed   int64     `json:"failed,omitempty"`
	Vanished int64     `json:"vanished,omitempty"`
	Bytes    int64     `json:"bytes"` // sent to the client, before encryption
}

// End is when the pull ended.
func (p Pull) End() time.Time {
	return p.Began.Add(time.Duration(p.Seconds * float64(time.Second)))
}

// entry is a slot that is in use.
type entry struct {
	Number uint64 `json:"n"` // counts up from 1; orders the entries
	Pull
}

// File is what a ledger is kept in.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Ledger is safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex
	file   File             // nil: kept in memory only
	slots  [Slots]entry     // Number 0: free
	latest map[string]*Last // by client
	number uint64           // of the newest entry
	at     int              // slot of the newest entry
}

// Last is what a client did last.
type Last struct {
	Client   string
	Pull     Pull
	Complete *Pull // the newest complete one; nil: there is none
	newest   int   // slot of Pull
	slot     int   // of Complete
}

// Open reads what file holds. A file that is empty, short or damaged gives what
// can still be read. With a nil file nothing survives.
func Open(file File) (*Ledger, error) {
	l := &Ledger{file: file, latest: make(map[string]*Last)}
	if file == nil {
		return l, nil
	}
	data := make([]byte, FileSize)
	n, err := file.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	data = data[:n]
	var order []int
	for i := range Slots {
		line, rest, ok := cut(data)
		if data = rest; !ok {
			break
		}
		e := &l.slots[i]
		if json.Unmarshal(line, e) != nil || e.Number == 0 || e.Client == "" || len(e.Client) > MaxName {
			*e = entry{}
			continue
		}
		order = append(order, i)
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(l.slots[i].Number, l.slots[j].Number) })
	for _, i := range order {
		l.number, l.at = l.slots[i].Number, i
		l.remember(i)
	}
	return l, nil
}

// cut takes one slot off data.
func cut(data []byte) (line, rest []byte, ok bool) {
	if len(data) < SlotSize {
		return nil, nil, false
	}
	return bytes.TrimRight(data[:SlotSize], " \n\x00"), data[SlotSize:], true
}

// Add enters a pull. The error says that it will not survive a restart.
func (l *Ledger) Add(p Pull) error {
	p.Client = p.Client[:min(len(p.Client), MaxName)]
	p.Began = p.Began.UTC().Truncate(time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	l.at = l.free()
	l.forget(l.at)
	l.slots[l.at] = entry{l.number, p}
	l.remember(l.at)
	return l.write(l.at)
}

// free is the next slot to be used. It never is one that holds the newest
// complete pull of a client: somebody who pulls all day must not make the
// server forget when the others last did.
func (l *Ledger) free() int {
	for i := l.at + 1; i <= l.at+Slots; i++ {
		e := &l.slots[i%Slots]
		last := l.latest[e.Client]
		if e.Number == 0 || last == nil || last.Complete == nil || last.slot != i%Slots {
			return i % Slots
		}
	}
	return (l.at + 1) % Slots // as many clients as slots
}

// forget lets go of what a slot holds that is about to be used again. Who has no
// slot left is forgotten too, as with a restart: certificates can bring any
// number of names.
func (l *Ledger) forget(slot int) {
	client := l.slots[slot].Client
	last := l.latest[client]
	if last == nil {
		return
	}
	if last.slot == slot {
		last.Complete = nil
	}
	switch {
	case last.newest != slot:
	case last.Complete == nil:
		delete(l.latest, client)
	default:
		last.Pull, last.newest = *last.Complete, last.slot
	}
}

func (l *Ledger) remember(slot int) {
	p := l.slots[slot].Pull
	last := l.latest[p.Client]
	if last == nil {
		last = &Last{Client: p.Client}
		l.latest[p.Client] = last
	}
	last.Pull, last.newest = p, slot
	if p.Complete {
		last.Complete, last.slot = &p, slot
	}
}

func (l *Ledger) write(slot int) error {
	if l.file == nil {
		return nil
	}
	line, err := json.Marshal(l.slots[slot])
	if err == nil && len(line) >= SlotSize {
		err = fmt.Errorf("an entry of %d bytes", len(line))
	}
	if err != nil {
		return err
	}
	line = append(line, bytes.Repeat([]byte{' '}, SlotSize-len(line))...)
	line[SlotSize-1] = '\n'
	_, err = l.file.WriteAt(line, int64(slot)*SlotSize)
	return err
}

// Clients returns what each client did last, by name.
func (l *Ledger) Clients() []Last {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Last
	for _, last := range l.latest {
		all = append(all, *last)
	}
	slices.SortFunc(all, func(a, b Last) int { return cmp.Compare(a.Client, b.Client) })
	return all
}

// Since returns the pulls that ended at or after t, oldest first.
func (l *Ledger) Since(t time.Time) []Pull {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entries []entry
	for _, e := range l.slots {
		if e.Number != 0 && !e.End().Before(t) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.Number, b.Number) })
	pulls := make([]Pull, len(entries))
	for i, e := range entries {
		pulls[i] = e.Pull
	}
	return pulls
}
