package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rrserve/internal/sshsrv"
)

// expiresSoon is how long before its end a key is reported.
const expiresSoon = 30 * 24 * time.Hour

// listedKey is a key and where it stands.
type listedKey struct {
	sshsrv.AuthorizedKey
	source *keySource
}

func (k *listedKey) grant() *grant { return k.Grant.(*grant) }

func (k *listedKey) where() string { return fmt.Sprintf("%s:%d", k.source.name, k.Line) }

// listed returns all keys in the order in which they are tried at a login.
func (k *keyring) listed() (all []listedKey) {
	k.Keys()
	for _, s := range k.all() {
		for _, key := range s.keys {
			all = append(all, listedKey{key, s})
		}
	}
	return all
}

// whatItSees says which directory a key was given, and by what.
func (k *listedKey) whatItSees(a *access) string {
	g := k.grant()
	by := "--root"
	switch {
	case k.Command != "":
		by = "command= of " + k.where()
	case g.limits.Root != "":
		by = fmt.Sprintf("roots.%s, of clients.%s", g.limits.Root, g.client)
	}
	if g.root.snapshots != nil {
		return fmt.Sprintf("sees snapshots of %s (%s)", g.root.path, by)
	}
	return fmt.Sprintf("sees %s (%s)", g.root.path, by)
}

// limits are the words for what a key may not do.
func (k *listedKey) limits() string {
	g, words := k.grant(), []string(nil)
	say := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	var from, hours []string
	for _, list := range k.Addresses() {
		if list != nil {
			from = append(from, list.String())
		}
	}
	for _, h := range g.limits.Hours {
		hours = append(hours, h.String())
	}
	say(k.Authority(), "signs certificates")
	say(len(from) > 0, "from %s", strings.Join(from, " and "))
	say(len(hours) > 0, "at %s", strings.Join(hours, ", "))
	say(g.limits.MaxSessions > 0, "%d sessions", g.limits.MaxSessions)
	say(g.limits.BWLimit.KiB() > 0, "%d KiB/s", g.limits.BWLimit.KiB())
	say(g.limits.StaleAfter.Duration > 0, "stale after %v", g.limits.StaleAfter)
	say(g.root.absolute, "absolute names")
	say(g.root.mungeLinks, "munged links")
	say(!k.Expires().IsZero(), "until %s", k.Expires().Format(time.DateTime))
	return cmp.Or(strings.Join(words, "; "), "no limits")
}

// keys prints what each key may see, and returns them.
func (r *report) keys(ring *keyring, a *access) []listedKey {
	r.section("KEYS")
	var dirErr error
	if ring.dir != "" {
		dirErr = ring.list()
	}
	var wrong []string
	for _, s := range ring.all() {
		refused, err := s.read(a)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", s.name, err))
		}
		for _, line := range refused {
			wrong = append(wrong, fmt.Sprintf("%s:%d: lets nobody in: %s", s.name, line.Line, line.Reason))
		}
		for i, line := range strings.Split(string(s.data), "\n") {
			if !strings.HasPrefix(line, "#") && len(keyLine.FindAllString(line, 2)) > 1 {
				wrong = append(wrong, fmt.Sprintf("%s:%d: two keys on one line: the second is taken for a comment", s.name, i+1))
			}
		}
		if err == nil && len(s.keys)+len(refused) == 0 {
			wrong = append(wrong, s.name+": holds no key")
		}
	}
	all := ring.listed()
	for i := range all {
		k := &all[i]
		r.row(k.Name, k.Type, k.Fingerprint, k.where(), k.whatItSees(a), k.limits())
	}
	if dirErr != nil {
		r.problem("--keys-dir %s: %v", ring.dir, dirErr)
	}
	for _, text := range wrong {
		r.problem("%s", text)
	}
	r.expiring(all, time.Now())
	r.unused(all, a)
	if len(all) == 0 {
		r.problem("no key may log in")
	}
	for _, s := range ring.all() {
		if s.path != "" {
			r.replaceable(s.path)
		}
	}
	return all
}

// outOfReach reports the files of keys that this process could read before it became
// the user, and cannot any more. Those of the directory the server opens at each login.
func (r *report) outOfReach(ring *keyring, user string) {
	for _, name := range slices.Sorted(maps.Keys(ring.inDir)) {
		s := ring.inDir[name]
		if _, err := readKeyFile(s.path, writableByOthers); s.data != nil && err != nil {
			r.problem("%s: %v, for the user %s, who reads it at each login", s.name, err, user)
		}
	}
}

func (r *report) expiring(all []listedKey, now time.Time) {
	for i := range all {
		switch k := &all[i]; {
		case k.Expires().IsZero() || k.Expires().After(now.Add(expiresSoon)):
		case k.Expires().After(now):
			r.problem("%s: the key of %s expires at %s", k.where(), k.Name, k.Expires().Format(time.DateTime))
		default:
			r.problem("%s: the key of %s expired at %s", k.where(), k.Name, k.Expires().Format(time.DateTime))
		}
	}
}

// unused reports the clients of the configuration who have no key. Those with a
// certificate have a name that is not known before they log in, but what they may
// do stands at the line of their authority.
func (r *report) unused(all []listedKey, a *access) {
	for _, name := range slices.Sorted(maps.Keys(a.clients)) {
		if !slices.ContainsFunc(all, func(k listedKey) bool { return k.Name == name }) {
			r.problem("clients.%s: no key has this name: neither a file %s.pub in --keys-dir nor a key with that comment", name, name)
		}
	}
}
