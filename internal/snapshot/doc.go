// Package snapshot gives a session a frozen tree: a command of the operator makes
// a snapshot when a session begins, and takes it away when the session has ended.
//
// The process that reads what strangers send has given up the right to execute
// anything. So the command is run by another one, the broker: a child that was
// started before, that listens to nobody but the server, and that knows all its
// commands from the start. All that the server can ask of it is
//
//	begin session S of root R       R is a number in the broker's list
//	end session S
//
// and all that it hears is a path or an error. A server that was taken over can
// make and drop snapshots of roots that are served anyway, MaxLive at a time.
//
// A command prints the path of its snapshot as its first line and goes on until
// its standard input ends; then it cleans up. The kernel closes that input
// whatever dies: the session, the server or the broker.
//
//	#!/bin/sh
//	snap=$RRSERVE_SNAPSHOT_DIR/$$
//	btrfs subvolume snapshot -r "$RRSERVE_SNAPSHOT_OF" "$snap" >&2 || exit
//	echo "$snap"
//	cat
//	btrfs subvolume delete "$snap" >&2
package snapshot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command makes the snapshots of one root.
type Command struct {
	Root    string        `json:"root"`    // name of the root, for messages and as RRSERVE_SNAPSHOT_NAME
	Path    string        `json:"path"`    // the root itself, as RRSERVE_SNAPSHOT_OF
	Args    []string      `json:"args"`    // program and arguments; the program is an absolute path
	Dir     string        `json:"dir"`     // the snapshots lie below it: an absolute, clean path, as RRSERVE_SNAPSHOT_DIR
	Timeout time.Duration `json:"timeout"` // for the path to appear, and for the clean-up
	Share   time.Duration `json:"share"`   // sessions that begin within it share a snapshot
}

// Equal reports whether two commands are the same in everything.
func (c Command) Equal(d Command) bool {
	return c.Root == d.Root && c.Path == d.Path && c.Dir == d.Dir && c.Timeout == d.Timeout && c.Share == d.Share &&
		slices.Equal(c.Args, d.Args)
}

// What Command has where the operator says nothing.
const (
	DefaultTimeout = time.Minute
	DefaultShare   = 5 * time.Second
)

const (
	// MaxLive bounds the snapshots of one root at the same time.
	MaxLive = 8
	// maxHeld bounds the sessions that hold snapshots, of all roots together.
	maxHeld = 1 << 12
	// maxLine bounds a line of the conversation, or of a command, in bytes.
	maxLine = 8 << 10
	// maxSession is the highest number of a session.
	maxSession = 1e9
	// patience is how long pipes may stay open behind a process that has ended, and
	// how much later than its commands the broker may end.
	patience = 5 * time.Second
)

// request is a line of the server to the broker: "begin S R" or "end S".
type request struct {
	begin         bool
	session, root int
}

func parseRequest(line string) (r request, err error) {
	switch words := strings.Split(line, " "); {
	case len(words) == 3 && words[0] == "begin":
		r.begin = true
		if r.root, err = parseNumber(words[2]); err == nil {
			r.session, err = parseNumber(words[1])
		}
	case len(words) == 2 && words[0] == "end":
		r.session, err = parseNumber(words[1])
	default:
		err = fmt.Errorf("not understood: %q", line)
	}
	return r, err
}

// reply is a line of the broker to the server: "path S PATH" or "failed S REASON".
type reply struct {
	session int
	path    string // "": failed
	reason  string
}

func parseReply(line string) (r reply, err error) {
	words := strings.SplitN(line, " ", 3)
	if len(words) == 3 {
		r.session, err = parseNumber(words[1])
	}
	switch {
	case len(words) == 3 && words[0] == "path" && words[2] != "":
		r.path = words[2]
	case len(words) == 3 && words[0] == "failed":
		r.reason = words[2]
	default:
		err = fmt.Errorf("not understood: %q", line)
	}
	return r, err
}

func parseNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxSession {
		return 0, fmt.Errorf("%q is not a number; allowed are 0 to %d", text, int(maxSession))
	}
	return int(n), nil
}

// oneLine makes a text fit into a line.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), maxLine/2)]
}
