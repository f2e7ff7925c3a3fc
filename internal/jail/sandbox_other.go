//go:build !linux

package jail

import (
	"errors"
	"runtime"
)

var errOnlyLinux = errors.New("there is none on " + runtime.GOOS)

// CanConfine reports whether this system offers every wall. It does not.
func CanConfine() bool { return false }

// CanReadAll reports whether the process has the capability to read what file
// permissions forbid; there is none on this system.
func CanReadAll() bool { return false }

// CanChangeUser reports whether the process may become another user; on this
// system it is not done.
func CanChangeUser() bool { return false }

// A User is the numbers of a user and of the user's group.
type User struct{ UID, GID int }

// DropPrivileges changes the user on Linux only.
func DropPrivileges(to *User, readAll bool) error {
	if to != nil || readAll {
		return errOnlyLinux
	}
	return nil
}

// Confine says of every wall that it is missing.
func Confine(*Sandbox) []Wall {
	return []Wall{{Name: Landlock, Err: errOnlyLinux}, {Name: Seccomp, Err: errOnlyLinux}}
}

// A Proof makes no attempts on this system.
type Proof struct{}

// NewProof returns a Proof.
func NewProof(*Sandbox) *Proof { return &Proof{} }

// Try makes no attempt.
func (*Proof) Try() []Outcome { return nil }

// Behind makes no attempt.
func (*Proof) Behind(...string) ([]Outcome, error) { return nil, errOnlyLinux }

// Close does nothing.
func (*Proof) Close() {}
