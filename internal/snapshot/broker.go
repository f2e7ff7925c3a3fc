package snapshot

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// broker is the process that runs the commands.
type broker struct {
	log   *slog.Logger
	now   func() time.Time
	make  func(Command) (path string, drop func(), err error)
	out   io.Writer
	roots []root
	work  sync.WaitGroup

	mu    sync.Mutex    // of all that follows, of roots, and of out
	holds map[int]*live // by session; nil while it is being made
}

// root is a root's command with its snapshots.
type root struct {
	Command
	waiting []int // sessions in turn, while a snapshot is made that they may share
	working bool  // a goroutine serves them
	newest  *live // nil: there is none to share
	count   int   // snapshots that exist
}

// live is a snapshot that exists.
type live struct {
	root  *root
	path  string
	made  time.Time
	users int    // sessions that hold it
	drop  func() // takes it away and waits until it is gone
}

// Serve is the broker's work: it reads what [Start] and the server say from in,
// answers on out, and takes all snapshots away when in ends.
func Serve(in io.Reader, out io.Writer, log *slog.Logger) error {
	lines := bufio.NewReader(in)
	list, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the list of commands is missing: %w; the server starts this by itself", err)
	}
	var commands []Command
	if err := json.Unmarshal(list, &commands); err != nil {
		return fmt.Errorf("the list of commands: %w", err)
	}
	b := &broker{log: log, now: time.Now, out: out}
	b.make = func(c Command) (string, func(), error) { return run(c, log) }
	return b.serve(commands, lines)
}

func (b *broker) serve(commands []Command, in io.Reader) error {
	b.roots = make([]root, len(commands))
	b.holds = make(map[int]*live)
	for i, c := range commands {
		b.roots[i].Command = c
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var err error
	for err == nil && lines.Scan() {
		err = b.answer(lines.Text())
	}
	b.endAll()
	b.work.Wait()
	return errors.Join(err, lines.Err())
}

// answer does what a line asks for. An error ends the conversation: a server that
// does not keep to the language is not ours any more.
func (b *broker) answer(line string) error {
	r, err := parseRequest(line)
	switch {
	case err != nil:
		return err
	case r.begin:
		return b.begin(r.session, r.root)
	}
	b.end(r.session)
	return nil
}

func (b *broker) begin(session, number int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, held := b.holds[session]; held || number >= len(b.roots) {
		return fmt.Errorf("out of order: begin %d %d", session, number)
	}
	if len(b.holds) == maxHeld {
		b.fail(session, fmt.Sprintf("%d sessions hold snapshots or wait for one; allowed are %d", len(b.holds), maxHeld))
		return nil
	}
	b.holds[session] = nil
	r := &b.roots[number]
	r.waiting = append(r.waiting, session)
	if !r.working {
		r.working = true
		b.work.Go(func() { b.serveWaiting(r) })
	}
	return nil
}

// serveWaiting gives the sessions that wait their snapshots, one after the other:
// sessions that come and go while a command takes its time cost nothing.
func (b *broker) serveWaiting(r *root) {
	for {
		b.mu.Lock()
		if len(r.waiting) == 0 {
			r.working = false
			b.mu.Unlock()
			return
		}
		session := r.waiting[0]
		r.waiting = r.waiting[1:]
		b.mu.Unlock()
		b.hold(session, r)
	}
}

// hold gives the session a snapshot and answers.
func (b *broker) hold(session int, r *root) {
	l, err := b.take(session, r)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		delete(b.holds, session)
		b.log.Error("no snapshot", "root", r.Root, "err", err)
		b.fail(session, err.Error())
	case l == nil: // it ended when its turn came
	case !b.wants(session): // it ended meanwhile
		b.release(l)
	default:
		b.holds[session] = l
		fmt.Fprintf(b.out, "path %d %s\n", session, l.path)
	}
}

// wants reports whether a session has begun and has no snapshot yet.
func (b *broker) wants(session int) bool {
	l, begun := b.holds[session]
	return begun && l == nil
}

func (b *broker) fail(session int, reason string) {
	fmt.Fprintf(b.out, "failed %d %s\n", session, oneLine(reason))
}

// take returns a snapshot with one more user: the newest if it is new enough,
// else one of its own; none, if the session has ended when its turn comes.
func (b *broker) take(session int, r *root) (*live, error) {
	b.mu.Lock()
	l, count, wanted := r.newest, r.count, b.wants(session)
	if wanted && l != nil && b.now().Sub(l.made) < r.Share {
		l.users++
		b.mu.Unlock()
		return l, nil
	}
	b.mu.Unlock()
	switch {
	case !wanted:
		return nil, nil
	case count >= MaxLive:
		return nil, fmt.Errorf("%d snapshots are in use; allowed are %d", count, MaxLive)
	}
	l = &live{root: r, made: b.now(), users: 1}
	var err error
	if l.path, l.drop, err = b.make(r.Command); err != nil {
		return nil, err
	}
	b.mu.Lock()
	r.newest = l
	r.count++
	b.mu.Unlock()
	b.log.Info("snapshot made", "root", r.Root, "path", l.path)
	return l, nil
}

func (b *broker) end(session int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.holds[session]
	delete(b.holds, session)
	if l != nil {
		b.release(l)
		return
	}
	for i := range b.roots {
		r := &b.roots[i]
		r.waiting = slices.DeleteFunc(r.waiting, func(s int) bool { return s == session })
	}
}

// release takes one user off a snapshot and the snapshot away with the last.
func (b *broker) release(l *live) {
	if l.users--; l.users > 0 {
		return
	}
	if l.root.newest == l {
		l.root.newest = nil
	}
	b.work.Go(func() {
		l.drop()
		b.mu.Lock()
		l.root.count--
		b.mu.Unlock()
		b.log.Info("snapshot gone", "root", l.root.Root, "path", l.path)
	})
}

func (b *broker) endAll() {
	b.mu.Lock()
	sessions := make([]int, 0, len(b.holds))
	for s := range b.holds {
		sessions = append(sessions, s)
	}
	b.mu.Unlock()
	for _, s := range sessions {
		b.end(s)
	}
}
