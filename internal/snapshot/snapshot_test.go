package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// conversation is a broker with a client, and what both left behind.
type conversation struct {
	*Client
	t      *testing.T
	log    *bytes.Buffer
	hangUp func()     // the server dies
	ended  chan error // the broker's end
}

// converse starts a broker; change may replace what it runs.
func converse(t *testing.T, commands []Command, change func(*broker)) *conversation {
	t.Helper()
	toBroker, fromClient := io.Pipe()
	toClient, fromBroker := io.Pipe()
	c := &conversation{t: t, log: new(bytes.Buffer), ended: make(chan error, 1), hangUp: func() { fromClient.Close() }}
	log := slog.New(slog.NewTextHandler(c.log, nil))
	b := &broker{log: log, now: time.Now, out: fromBroker}
	b.make = func(c Command) (string, func(), error) { return run(c, log) }
	if change != nil {
		change(b)
	}
	go func() {
		err := b.serve(commands, toBroker)
		toBroker.Close()
		fromBroker.Close()
		c.ended <- err
	}()
	c.Client = newClient(commands, toClient, fromClient)
	t.Cleanup(c.hangUp)
	return c
}

// finish lets the server die and returns how the broker ended.
func (c *conversation) finish() error {
	c.t.Helper()
	c.hangUp()
	select {
	case err := <-c.ended:
		return err
	case <-time.After(30 * time.Second):
		c.t.Fatal("the broker did not end")
		return nil
	}
}

// fake makes numbered snapshots and remembers which exist.
type fake struct {
	mu     sync.Mutex
	made   int
	exists map[string]bool
	gate   chan struct{} // closed: make returns
	err    error
}

func newFake() *fake {
	f := &fake{exists: make(map[string]bool), gate: make(chan struct{})}
	close(f.gate)
	return f
}

func (f *fake) make(c Command) (string, func(), error) {
	<-f.gate
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", nil, f.err
	}
	f.made++
	path := fmt.Sprintf("%s/%d", c.Dir, f.made)
	f.exists[path] = true
	return path, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.exists, path)
	}, nil
}

func (f *fake) count() (made, exist int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made, len(f.exists)
}

func (c *conversation) begin(root int) (string, func()) {
	c.t.Helper()
	path, release, err := c.Begin(context.Background(), c.commands[root])
	if err != nil {
		c.t.Fatal(err)
	}
	return path, release
}

var two = []Command{{Root: "a", Dir: "/a", Share: time.Minute}, {Root: "b", Dir: "/b", Share: time.Minute}}

func TestShared(t *testing.T) {
	f := newFake()
	now := time.Unix(1e9, 0)
	c := converse(t, two, func(b *broker) { b.make = f.make; b.now = func() time.Time { return now } })
	first, release1 := c.begin(0)
	second, release2 := c.begin(0)
	other, release3 := c.begin(1)
	if first != "/a/1" || second != first || other != "/b/2" {
		t.Errorf("%s, %s, %s", first, second, other)
	}
	now = now.Add(time.Minute)
	third, release4 := c.begin(0)
	if third != "/a/3" {
		t.Errorf("after the time for sharing: %s", third)
	}
	for _, release := range []func(){release1, release2, release3, release4} {
		release()
	}
	if err := c.finish(); err != nil {
		t.Error(err)
	}
	if made, exist := f.count(); made != 3 || exist != 0 {
		t.Errorf("%d made, %d still there", made, exist)
	}
}

// Many that begin at once share the one snapshot that is being made.
func TestSharedWhileMade(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	c := converse(t, two, func(b *broker) { b.make = f.make })
	paths := make(chan string)
	for range 20 {
		go func() {
			path, _, err := c.Begin(context.Background(), c.commands[0])
			paths <- fmt.Sprint(path, err)
		}()
	}
	close(f.gate)
	for range 20 {
		if got := <-paths; got != "/a/1<nil>" {
			t.Error(got)
		}
	}
	if err := c.finish(); err != nil {
		t.Error(err)
	}
	if made, exist := f.count(); made != 1 || exist != 0 {
		t.Errorf("%d made, %d still there after the server died", made, exist)
	}
}

// A session that gives up while its snapshot is made leaves none behind.
func TestGivenUp(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	c := converse(t, two, func(b *broker) { b.make = f.make })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := c.Begin(ctx, c.commands[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(f.gate)
	if err := c.finish(); err != nil {
		t.Error(err)
	}
	if _, exist := f.count(); exist != 0 {
		t.Errorf("%d still there", exist)
	}
}

func TestLimits(t *testing.T) {
	f := newFake()
	c := converse(t, []Command{{Root: "a", Dir: "/a"}}, func(b *broker) { b.make = f.make }) // none are shared
	for range MaxLive {
		c.begin(0)
	}
	if _, _, err := c.Begin(context.Background(), c.commands[0]); err == nil || err.Error() != "8 snapshots are in use; allowed are 8" {
		t.Errorf("one too many: %v", err)
	}
	f.mu.Lock()
	f.err = errors.New("no\nspace")
	f.mu.Unlock()
	c = converse(t, two, func(b *broker) { b.make = f.make })
	if _, _, err := c.Begin(context.Background(), c.commands[0]); err == nil || err.Error() != "no space" {
		t.Errorf("a command that fails: %v", err)
	}
}

// A session that ended while it waited for its turn costs no snapshot.
func TestEndedInTurn(t *testing.T) {
	f := newFake()
	b := &broker{log: slog.New(slog.DiscardHandler), now: time.Now, out: io.Discard, make: f.make}
	b.hold(1, &root{Command: two[0]}) // of which b.holds knows nothing any more
	if made, _ := f.count(); made != 0 {
		t.Errorf("%d made", made)
	}
}

// Sessions that come and go while a snapshot is made left a goroutine each, and one
// that took the number of another left its snapshot behind.
func TestEndedWhileMade(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	b := &broker{log: slog.New(slog.DiscardHandler), out: io.Discard, now: time.Now, make: f.make, roots: []root{{Command: two[0]}}, holds: map[int]*live{}}
	say := func(line string) {
		t.Helper()
		if err := b.answer(line); err != nil {
			t.Fatal(err)
		}
	}
	say("begin 1 0")
	for n := range 2 * maxHeld {
		say(fmt.Sprintf("begin %d 0", 2+n))
		say(fmt.Sprintf("end %d", 2+n))
	}
	say("end 1")
	say("begin 1 0")
	b.mu.Lock()
	if n := len(b.roots[0].waiting); n > 1 {
		t.Errorf("%d sessions wait", n)
	}
	b.mu.Unlock()
	close(f.gate)
	b.work.Wait()
	if made, exist := f.count(); made != 1 || exist != 1 {
		t.Errorf("%d made, %d exist", made, exist)
	}
	say("end 1")
	b.work.Wait()
	if _, exist := f.count(); exist != 0 {
		t.Errorf("%d still there", exist)
	}
}

// One session too many is told so, and the others keep what they hold.
func TestTooManyHold(t *testing.T) {
	f := newFake()
	c := converse(t, two, func(b *broker) { b.make = f.make })
	for range maxHeld {
		c.begin(0)
	}
	want := "4096 sessions hold snapshots or wait for one; allowed are 4096"
	if _, _, err := c.Begin(context.Background(), c.commands[0]); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := c.finish(); err != nil {
		t.Error(err)
	}
}

func TestOtherCommand(t *testing.T) {
	c := converse(t, two, nil)
	other := two[0]
	other.Args = []string{"/bin/sh"}
	if _, _, err := c.Begin(context.Background(), other); err != errUnknown {
		t.Errorf("a command that the broker does not know: %v", err)
	}
	var none Client
	if _, _, err := none.Begin(context.Background(), two[0]); err != errUnknown || none.Close() != nil {
		t.Errorf("without a broker: %v", err)
	}
}

// The broker understands nothing but its language.
func TestStrangeRequests(t *testing.T) {
	for _, line := range []string{"begin 1 2", "begin 1 -1", "run /bin/sh", "begin 1 0 /etc", "begin 1 0\nbegin 1 0", "begin 99999999999 0", "begin 1", "end", "end 1 2", "begin  1 0", "begin +1 0", "", strings.Repeat("x", maxLine+1)} {
		f := newFake()
		b := &broker{log: slog.New(slog.DiscardHandler), now: time.Now, out: io.Discard, make: f.make}
		if err := b.serve(two, strings.NewReader(line+"\n")); err == nil {
			t.Errorf("%.40q: accepted", line)
		}
		if _, exist := f.count(); exist != 0 {
			t.Errorf("%.40q: a snapshot is left", line)
		}
	}
}

func TestBrokerEnds(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	c := converse(t, two, func(b *broker) { b.make = f.make })
	failed := make(chan error)
	go func() {
		_, _, err := c.Begin(context.Background(), c.commands[0])
		failed <- err
	}()
	c.hangUp() // which ends the broker, too
	close(f.gate)
	<-c.ended
	if err := <-failed; err != nil && err != errGone {
		t.Errorf("a session that waits: %v", err)
	}
	if _, _, err := c.Begin(context.Background(), c.commands[0]); err == nil {
		t.Error("a session that begins later is served")
	}
}

// script is a stand-in for a command that makes a snapshot in dir.
func script(t *testing.T, dir, text string) Command {
	t.Helper()
	name := filepath.Join(dir, "snap.sh")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return Command{Root: "photos", Args: []string{"/bin/sh", name}, Dir: dir, Timeout: 20 * time.Second}
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	snapshot := filepath.Join(dir, "photos")
	c := script(t, dir, `
snap=$RRSERVE_SNAPSHOT_DIR/$RRSERVE_SNAPSHOT_NAME
trap 'rmdir "$snap"' EXIT
mkdir "$snap" || exit
echo "of $RRSERVE_SNAPSHOT_OF" >&2
echo "$snap"
cat >/dev/null
`)
	c.Path = "/srv/photos"
	conv := converse(t, []Command{c}, nil)
	path, release := conv.begin(0)
	if info, err := os.Stat(path); err != nil || !info.IsDir() || path != snapshot {
		t.Errorf("%s: %v", path, err)
	}
	release()
	if err := conv.finish(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(snapshot); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the session: %v", err)
	}
	if want := `msg="the snapshot command says" root=photos text="of /srv/photos"`; !strings.Contains(conv.log.String(), want) {
		t.Errorf("no %s in\n%s", want, conv.log)
	}

	// The server dies in the middle of a session.
	conv = converse(t, []Command{c}, nil)
	conv.begin(0)
	if err := conv.finish(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(snapshot); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the server died: %v", err)
	}
}

func TestBadCommands(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"exit 1", "the command printed no path"},
		{"echo", "the command printed no path"},
		{"echo /etc; cat", `the command printed "/etc"; allowed is a clean path below DIR`},
		{"echo DIR/../etc; cat", `the command printed "DIR/../etc"; allowed is a clean path below DIR`},
		{"echo DIRx; cat", `the command printed "DIRx"; allowed is a clean path below DIR`},
		{"echo snap; cat", `the command printed "snap"; allowed is a clean path below DIR`},
		{"echo DIR; cat", `the command printed "DIR"; allowed is a clean path below DIR`},
		{"yes | head -c 10000 | tr -d '\\n'; cat", "the command printed no path"},
	} {
		dir := t.TempDir()
		conv := converse(t, []Command{script(t, dir, strings.ReplaceAll(tt.text, "DIR", dir))}, nil)
		_, _, err := conv.Begin(context.Background(), conv.commands[0])
		if want := strings.ReplaceAll(tt.want, "DIR", dir); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", tt.text, err, want)
		}
		if err := conv.finish(); err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
	c := Command{Root: "a", Args: []string{"/nonexistent"}, Dir: "/a", Timeout: time.Second}
	if _, _, err := run(c, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a command that does not exist runs")
	}
}

// A command may end once it has printed its path: where there is nothing to take
// away.
func TestCommandThatEnds(t *testing.T) {
	dir := t.TempDir()
	c := script(t, dir, "echo "+dir+"/newest; echo left >&2")
	path, drop, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil || path != dir+"/newest" {
		t.Fatalf("%s, %v", path, err)
	}
	drop()
}

// A command that neither prints nor ends is killed, with what it started.
func TestCommandThatHangs(t *testing.T) {
	dir := t.TempDir()
	c := script(t, dir, "trap '' TERM\nsleep 1000 & sleep 1000; sleep 1000")
	c.Timeout = 50 * time.Millisecond
	if _, _, err := run(c, slog.New(slog.DiscardHandler)); err == nil || err.Error() != "no path within 50ms" {
		t.Errorf("error %v", err)
	}
}
