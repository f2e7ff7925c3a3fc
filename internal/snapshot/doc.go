// Package snapshot gives a session a frozen tree: a command of the operator makes
// a snapshot when a session begins, and takes it away when the session has ended.
//
// The process that reads what strangers send has given up the right to execute
// anything. So the command is run by another one, the broker: a child that was
// started before, that listens to nobody but the server, and that knows all its
// commands from the start. All that the server can ask of it is
//
//	begin session S of root R       R is a number in a list that the broker has
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
//	trap 'btrfs subvolume delete "$snap"' EXIT
//	snap=/srv/.snapshots/$$
//	btrfs subvolume snapshot -r /srv "$snap" >&2 || exit
//	echo "$snap"
//	cat
package snapshot

import (
	"regexp"
	"strings"
	"time"
)

// Command makes the snapshots of one root.
type Command struct {
	Root    string        `json:"root"`    // name of the root, for messages and as RRSERVE_ROOT
	Args    []string      `json:"args"`    // program and arguments; the program is an absolute path
	Dir     string        `json:"dir"`     // the snapshots lie below it: an absolute, clean path
	Timeout time.Duration `json:"timeout"` // for the path to appear, and for the clean-up
	Share   time.Duration `json:"share"`   // sessions that begin within it share a snapshot
}

const (
	// MaxLive bounds the snapshots of one root at the same time.
	MaxLive = 8
	// maxHeld bounds the sessions that hold snapshots, of all roots together.
	maxHeld = 1 << 12
	// maxLine bounds a line of the conversation, or of a command, in bytes.
	maxLine = 8 << 10
)

// What server and broker say to each other, a line each. S is the number of a
// session, R that of a root.
var (
	beginLine  = regexp.MustCompile(`^begin ([0-9]{1,9}) ([0-9]{1,4})$`) // S R
	endLine    = regexp.MustCompile(`^end ([0-9]{1,9})$`)                // S
	pathLine   = regexp.MustCompile(`^path ([0-9]{1,9}) (/.*)$`)         // S PATH
	failedLine = regexp.MustCompile(`^failed ([0-9]{1,9}) (.*)$`)        // S REASON
)

// oneLine makes a text fit into a line.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), maxLine/2)]
}
