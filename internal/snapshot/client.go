package snapshot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

var (
	// errGone is the failure of a broker that has ended.
	errGone = errors.New("the snapshot broker has ended; restart the server")
	// errUnknown is that of a command which the broker was not started with.
	errUnknown = errors.New("the snapshot command is another one than at the start; restart the server")
)

// Client is the server's end of the conversation with the broker. It is safe
// for concurrent use. The zero value has a broker without commands.
type Client struct {
	commands []Command

	// Writing has a lock of its own: answers are taken while it waits, or the
	// broker, waiting for that, would not read.
	writing sync.Mutex
	w       io.WriteCloser

	mu      sync.Mutex
	session int                   // counts up, wraps
	waiting map[int]chan<- answer // by session
	gone    chan struct{}         // closed when the broker has ended; nil: there never was one
}

type answer struct {
	path string
	err  error
}

// newClient speaks to a broker that knows the commands, reads what is written to w
// and answers on r. When r ends, all that wait are told.
func newClient(commands []Command, r io.Reader, w io.WriteCloser) *Client {
	c := &Client{commands: commands, w: w, waiting: make(map[int]chan<- answer), gone: make(chan struct{})}
	go c.read(r)
	return c
}

// Begin asks for a snapshot by a command of those that the broker was started with.
// What it returns is served until release is called, which must happen once. When
// ctx ends first, what comes later is released unseen.
func (c *Client) Begin(ctx context.Context, command Command) (path string, release func(), err error) {
	root := slices.IndexFunc(c.commands, command.Equal)
	if root < 0 {
		return "", nil, errUnknown
	}
	session, answers, err := c.ask(root)
	if err != nil {
		return "", nil, err
	}
	select {
	case a := <-answers:
		if a.err != nil {
			return "", nil, a.err
		}
		return a.path, func() { c.end(session) }, nil
	case <-ctx.Done():
		c.end(session)
		return "", nil, ctx.Err()
	}
}

// Close ends the broker and waits until its commands have taken their snapshots
// away, for as long as these may take.
func (c *Client) Close() error {
	if c.gone == nil {
		return nil
	}
	c.writing.Lock()
	c.w.Close()
	c.writing.Unlock()
	limit := patience
	for _, command := range c.commands {
		limit = max(limit, command.Timeout+patience)
	}
	select {
	case <-c.gone:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the snapshot broker did not end within %v", limit)
	}
}

func (c *Client) ask(root int) (session int, answers <-chan answer, err error) {
	one := make(chan answer, 1)
	c.mu.Lock()
	if c.ended() {
		c.mu.Unlock()
		return 0, nil, errGone
	}
	c.session = (c.session + 1) % maxSession
	session = c.session
	c.waiting[session] = one
	c.mu.Unlock()
	return session, one, c.say("begin %d %d\n", session, root)
}

func (c *Client) ended() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

func (c *Client) end(session int) {
	c.mu.Lock()
	delete(c.waiting, session)
	c.mu.Unlock()
	c.say("end %d\n", session) // a broker that is gone has ended it
}

func (c *Client) say(format string, args ...any) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := fmt.Fprintf(c.w, format, args...); err != nil {
		return errGone
	}
	return nil
}

// read hands answers to those who wait for them.
func (c *Client) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		said, err := parseReply(lines.Text())
		switch {
		case err != nil: // which the broker never says
		case said.path != "":
			c.tell(said.session, answer{path: said.path})
		default:
			c.tell(said.session, answer{err: errors.New(said.reason)})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.gone)
	for _, one := range c.waiting {
		one <- answer{err: errGone}
	}
	clear(c.waiting)
}

func (c *Client) tell(session int, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.waiting[session]; one != nil {
		delete(c.waiting, session)
		one <- a
	}
}
