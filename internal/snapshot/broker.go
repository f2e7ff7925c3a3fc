package snapshot

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

	mu    sync.Mutex    // of all that follows, of roots but for making, and of out
	holds map[int]*live // by session; nil while it is being made
}

// root is a root's command with its snapshots.
type root struct {
	Command
	making sync.Mutex // held while a snapshot is made: others wait, to share it
	newest *live      // nil: there is none to share
	count  int        // snapshots that exist
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
	if _, held := b.holds[session]; held || number >= len(b.roots) || len(b.holds) == maxHeld {
		return fmt.Errorf("out of order: begin %d %d", session, number)
	}
	b.holds[session] = nil
	b.work.Go(func() { b.hold(session, &b.roots[number]) })
	return nil
}

// hold gives the session a snapshot and answers.
func (b *broker) hold(session int, r *root) {
	l, err := b.take(session, r)
	b.mu.Lock()
	defer b.mu.Unlock()
	_, wanted := b.holds[session]
	switch {
	case err != nil:
		delete(b.holds, session)
		b.log.Error("no snapshot", "root", r.Root, "err", err)
		fmt.Fprintf(b.out, "failed %d %s\n", session, oneLine(err.Error()))
	case l == nil: // it ended while others were served
	case !wanted: // it ended meanwhile
		b.release(l)
	default:
		b.holds[session] = l
		fmt.Fprintf(b.out, "path %d %s\n", session, l.path)
	}
}

// take returns a snapshot with one more user: the newest if it is new enough,
// else one of its own; none, if the session has ended when its turn comes.
func (b *broker) take(session int, r *root) (*live, error) {
	r.making.Lock()
	defer r.making.Unlock()
	b.mu.Lock()
	l, count := r.newest, r.count
	_, wanted := b.holds[session]
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
