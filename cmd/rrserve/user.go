package main

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"rrserve/internal/jail"
)

const (
	rootUID   = 0
	nobodyUID = 65534 // where /etc/passwd does not say

	rootUser    = "root"
	serviceUser = "rrserve"
	nobodyUser  = "nobody"
)

// targetUser is the user to become; nil is to stay. Only root can change, and it
// does unless told to stay:
//
//	started as    --run-as        becomes
//	root          -               rrserve if there is such a user, else nobody
//	root          USER            USER
//	root          root, 0         nobody else; it owns the files of root
//	USER          -, USER         nobody else
//	USER          another         an error
func targetUser(runAs string, euid int) (*jail.User, error) {
	if runAs == "" {
		if euid != rootUID {
			return nil, nil
		}
		return defaultUser(), nil
	}
	to, err := parseUser(runAs)
	switch {
	case err != nil:
		return nil, configf("--run-as %s: %w", runAs, err)
	case to.UID == euid:
		return nil, nil
	case euid != rootUID:
		return nil, configf("--run-as %s: only root can become another user, and this is user %d", runAs, euid)
	}
	return to, nil
}

// defaultUser is the service's own user where there is one.
func defaultUser() *jail.User {
	for _, name := range []string{serviceUser, nobodyUser} {
		if to, err := parseUser(name); err == nil && to.UID != rootUID {
			return to
		}
	}
	return &jail.User{UID: nobodyUID, GID: nobodyUID}
}

// parseUser reads USER or USER:GROUP, each a name or a number. Without a group it
// is the user's own, and the user's number where /etc/passwd does not know the
// user.
func parseUser(text string) (*jail.User, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	to, err := lookUser(name)
	if err != nil || !hasGroup {
		return to, err
	}
	if to.GID, err = parseID(group); err == nil {
		return to, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return nil, fmt.Errorf("no group %q in /etc/group, and not a number", group)
	}
	to.GID, err = parseID(g.Gid)
	return to, err
}

// lookUser returns the user of a name or number, with the user's own group.
func lookUser(name string) (*jail.User, error) {
	uid, err := parseID(name)
	if name == rootUser { // who is known without a file
		uid, err = rootUID, nil
	}
	isNumber := err == nil
	var entry *user.User
	if isNumber {
		entry, err = user.LookupId(strconv.Itoa(uid))
	} else {
		entry, err = user.Lookup(name)
	}
	switch {
	case err != nil && isNumber:
		return &jail.User{UID: uid, GID: uid}, nil
	case err != nil:
		return nil, fmt.Errorf("no user %q in /etc/passwd, and not a number", name)
	}
	var to jail.User
	to.UID, err = parseID(entry.Uid)
	if err == nil {
		to.GID, err = parseID(entry.Gid)
	}
	return &to, err
}

// parseID reads the number of a user or group. The highest one means "as it is"
// to the kernel.
func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err == nil && id == 1<<32-1 {
		err = strconv.ErrRange
	}
	return int(id), err
}

// userName is the name of a user for messages.
func userName(uid int) string {
	text := strconv.Itoa(uid)
	if entry, err := user.LookupId(text); err == nil {
		return entry.Username
	}
	return text
}
