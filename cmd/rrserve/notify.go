package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rrserve/internal/sshsrv"
)

const (
	// notifyPatience is how long a message may wait for a service manager that
	// reads none.
	notifyPatience = time.Second
	// statusInterval is the time between two messages about what runs.
	statusInterval = time.Second
)

// notifier tells the service manager how the server is, sd_notify(3). Its socket
// is connected before the sandbox closes, which lets none be opened and a message
// be written to one that is: libraries that open a socket for each message, such as
// go-systemd, would be silent from then on. Without a service manager that asks for
// messages there is no socket.
type notifier struct {
	conn     net.Conn      // nil: nobody wants to know
	interval time.Duration // of the signs of life; 0: none are wanted
	log      *slog.Logger
	failed   sync.Once // to log the first message that was lost

	sessions atomic.Int64
	changed  chan struct{} // sessions did; takes one
}

// openNotifier connects to the socket of the environment, from which it takes what
// would let the processes that this one starts speak for it.
func openNotifier(log *slog.Logger) *notifier {
	n := &notifier{log: log, changed: make(chan struct{}, 1)}
	socket, usec, pid := takeVariable("NOTIFY_SOCKET"), takeVariable("WATCHDOG_USEC"), takeVariable("WATCHDOG_PID")
	if socket == "" {
		return n
	}
	var err error
	if n.conn, err = net.Dial("unixgram", socket); err != nil {
		n.conn = nil
		log.Warn("the service manager cannot be told how the server is", "err", fmt.Sprintf("NOTIFY_SOCKET=%s: %v", socket, err))
		return n
	}
	if n.interval, err = watchdogInterval(usec, pid); err != nil {
		log.Warn("the service manager will get no signs of life", "err", err.Error())
	}
	return n
}

func takeVariable(name string) string {
	value := os.Getenv(name)
	os.Unsetenv(name)
	return value
}

// watchdogInterval is half the time within which the service manager wants a sign
// of life from this process; 0, if it does not.
func watchdogInterval(usec, pid string) (time.Duration, error) {
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n < 2 || n > math.MaxInt64/int64(time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC=%q: allowed is a number of microseconds, 2 or more", usec)
	}
	return time.Duration(n) * time.Microsecond / 2, nil
}

// say sends a message, which is lines of NAME=VALUE.
func (n *notifier) say(message string) {
	if n.conn == nil {
		return
	}
	n.conn.SetWriteDeadline(time.Now().Add(notifyPatience))
	if _, err := n.conn.Write([]byte(message)); err != nil {
		n.failed.Do(func() { n.log.Warn("the service manager was not told how the server is", "err", err.Error()) })
	}
}

// The states of the service. A reload has to be dated, or systemd could not tell
// that which it asked for from one before.

func (n *notifier) ready() { n.say("READY=1\n" + n.status()) }
func (n *notifier) reloading() {
	n.say(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
}
func (n *notifier) stopping() { n.say("STOPPING=1") }

// status is what systemctl status shows.
func (n *notifier) status() string {
	return fmt.Sprintf("STATUS=Sessions running: %d", n.sessions.Load())
}

// counted is the handler with what it runs counted.
func (n *notifier) counted(handler sshsrv.Handler) sshsrv.Handler {
	add := func(d int64) {
		n.sessions.Add(d)
		select {
		case n.changed <- struct{}{}:
		default: // what is there already will tell of it
		}
	}
	return func(ctx context.Context, x *sshsrv.Exec) int {
		add(1)
		defer add(-1)
		return handler(ctx, x)
	}
}

// start begins to tell what runs, and to give signs of life as long as alive
// returns, until the function returned is called.
func (n *notifier) start(alive func()) (stop func()) {
	done := make(chan struct{})
	if n.conn != nil {
		go n.run(alive, done)
	}
	return func() { close(done) }
}

func (n *notifier) run(alive func(), done <-chan struct{}) {
	var due <-chan time.Time
	if n.interval > 0 {
		ticker := time.NewTicker(n.interval)
		defer ticker.Stop()
		due = ticker.C
	}
	changed, again := n.changed, (<-chan time.Time)(nil)
	for {
		select {
		case <-due:
			alive()
			n.say("WATCHDOG=1")
		case <-changed:
			n.say(n.status())
			changed, again = nil, time.After(statusInterval)
		case <-again:
			changed, again = n.changed, nil
		case <-done:
			return
		}
	}
}
