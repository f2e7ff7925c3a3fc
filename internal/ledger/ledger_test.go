package ledger

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// memory is a file of fixed size.
type memory struct {
	data [FileSize]byte
	err  error
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if n := copy(p, m.data[off:]); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if m.err != nil || off+int64(len(p)) > FileSize {
		return 0, errors.Join(m.err, io.ErrShortWrite)
	}
	return copy(m.data[off:], p), nil
}

var began = time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)

func pull(client string, minute int, complete bool) Pull {
	return Pull{Client: client, Began: began.Add(time.Duration(minute) * time.Minute), Seconds: 30, Complete: complete, Listed: 10, Sent: 3, Bytes: 4096}
}

func mustOpen(t *testing.T, f File) *Ledger {
	t.Helper()
	l, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSurvives(t *testing.T) {
	file := new(memory)
	l := mustOpen(t, file)
	var want []Pull
	for i, p := range []Pull{pull("pi", 0, true), pull("nas", 1, false), pull("pi", 2, false), {Client: strings.Repeat("\"", 500), Began: began, Exit: 23, Failed: 1 << 62, Vanished: 1 << 62, Listed: 1 << 62, Sent: 1 << 62, Bytes: 1 << 62}} {
		if err := l.Add(p); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		p.Client = p.Client[:min(len(p.Client), MaxName)]
		want = append(want, p)
	}
	for name, l := range map[string]*Ledger{"same": l, "reopened": mustOpen(t, file)} {
		if diff := cmp.Diff(want, l.Since(time.Time{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		clients := l.Clients()
		if len(clients) != 3 || clients[2].Client != "pi" || clients[2].Pull != want[2] || *clients[2].Complete != want[0] || clients[1].Complete != nil {
			t.Errorf("%s: %+v", name, clients)
		}
	}
	if got := l.Since(began.Add(90*time.Second + time.Nanosecond)); len(got) != 1 || got[0] != want[2] {
		t.Errorf("Since: %+v", got)
	}
}

// A client that pulls all day does not make the ledger forget the others.
func TestNewestCompleteStays(t *testing.T) {
	file := new(memory)
	l := mustOpen(t, file)
	rare := pull("rare", 0, true)
	for _, p := range []Pull{pull("rare", -5, true), rare, pull("rare", 1, false)} {
		if err := l.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 * Slots {
		if err := l.Add(pull("busy", i, i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	for name, l := range map[string]*Ledger{"same": l, "reopened": mustOpen(t, file)} {
		clients := l.Clients()
		if len(clients) != 2 || clients[1].Complete == nil || *clients[1].Complete != rare {
			t.Errorf("%s: %+v", name, clients)
		}
		if got := len(l.Since(time.Time{})); got != Slots {
			t.Errorf("%s: %d pulls, want %d", name, got, Slots)
		}
	}
	// The next entry goes on behind the newest.
	again := mustOpen(t, file)
	if err := again.Add(pull("new", 0, true)); err != nil {
		t.Fatal(err)
	}
	all := again.Since(time.Time{})
	if last := all[len(all)-1]; last.Client != "new" {
		t.Errorf("newest is %+v", last)
	}
}

// Any number of names takes bounded memory, which a restart does not change.
func TestAsManyClientsAsSlots(t *testing.T) {
	file := new(memory)
	l := mustOpen(t, file)
	for i := range 2*Slots + 2 {
		for _, complete := range []bool{i%3 != 0, i%3 == 2} {
			if err := l.Add(pull(fmt.Sprint(i), i, complete)); err != nil {
				t.Fatal(err)
			}
		}
	}
	clients := l.Clients()
	if len(clients) > Slots {
		t.Errorf("%d clients are remembered, more than %d", len(clients), Slots)
	}
	reopened := mustOpen(t, file).Clients()
	if diff := cmp.Diff(reopened, clients, cmpopts.IgnoreUnexported(Last{})); diff != "" {
		t.Errorf("a restart changes what is remembered (-reopened +same):\n%s", diff)
	}
}

func TestDamage(t *testing.T) {
	file := new(memory)
	l := mustOpen(t, file)
	for i := range 3 {
		if err := l.Add(pull("pi", i, true)); err != nil {
			t.Fatal(err)
		}
	}
	// The second was being written, and behind the third lies rubbish.
	second := int(1+1) * SlotSize
	copy(file.data[second+20:], make([]byte, 100))
	copy(file.data[5*SlotSize:], `{"n":99}`)
	copy(file.data[6*SlotSize:], "rubbish\n")
	got := mustOpen(t, file)
	if diff := cmp.Diff([]Pull{pull("pi", 0, true), pull("pi", 2, true)}, got.Since(time.Time{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := got.Add(pull("pi", 3, true)); err != nil {
		t.Fatal(err)
	}
	if n := len(mustOpen(t, file).Since(time.Time{})); n != 3 {
		t.Errorf("%d pulls after one more, want 3", n)
	}
}

func TestFileErrors(t *testing.T) {
	file := new(memory)
	l := mustOpen(t, file)
	file.err = errors.New("disk full")
	if err := l.Add(pull("pi", 0, true)); !errors.Is(err, file.err) {
		t.Errorf("error %v", err)
	}
	if len(l.Since(time.Time{})) != 1 {
		t.Error("what could not be written is forgotten at once")
	}
	if _, err := Open(broken{}); err == nil {
		t.Error("a file that cannot be read passes for an empty one")
	}
	none := mustOpen(t, nil)
	if err := none.Add(pull("pi", 0, true)); err != nil || len(none.Clients()) != 1 {
		t.Errorf("without a file: %v", err)
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error)  { return 0, errors.New("broken") }
func (broken) WriteAt([]byte, int64) (int, error) { return 0, errors.New("broken") }
