package snapshot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// errGone is the failure of a broker that has ended.
var errGone = errors.New("the snapshot broker has ended; restart the server")

// Client is the server's end of the conversation with the broker. It is safe
// for concurrent use.
type Client struct {
	// Writing has a lock of its own: answers are taken while it waits, or the
	// broker, waiting for that, would not read.
	writing sync.Mutex
	w       io.Writer

	mu      sync.Mutex
	session int                   // counts up, wraps
	waiting map[int]chan<- answer // by session
	gone    bool
}

type answer struct {
	path string
	err  error
}

// NewClient speaks to a broker that reads what is written to w and answers on r.
// When r ends, all that wait are told.
func NewClient(r io.Reader, w io.Writer) *Client {
	c := &Client{w: w, waiting: make(map[int]chan<- answer)}
	go c.read(r)
	return c
}

// Begin asks for a snapshot of the root with this number in the broker's list.
// What it returns is served until release is called, which must happen once.
// When ctx ends first, what comes later is released unseen.
func (c *Client) Begin(ctx context.Context, root int) (path string, release func(), err error) {
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

func (c *Client) ask(root int) (session int, answers <-chan answer, err error) {
	one := make(chan answer, 1)
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return 0, nil, errGone
	}
	c.session = (c.session + 1) % 1e9
	session = c.session
	c.waiting[session] = one
	c.mu.Unlock()
	return session, one, c.say("begin %d %d\n", session, root)
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
		if m := pathLine.FindStringSubmatch(lines.Text()); m != nil {
			c.tell(m[1], answer{path: m[2]})
		} else if m := failedLine.FindStringSubmatch(lines.Text()); m != nil {
			c.tell(m[1], answer{err: errors.New(m[2])})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, one := range c.waiting {
		one <- answer{err: errGone}
	}
	clear(c.waiting)
}

func (c *Client) tell(session string, a answer) {
	n, _ := strconv.Atoi(session) // the pattern leaves nothing to fail
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.waiting[n]; one != nil {
		delete(c.waiting, n)
		one <- a
	}
}
