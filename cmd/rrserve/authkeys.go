package main

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"rrserve/internal/sshsrv"
)

// keyLine recognises a value that is a line of authorized_keys, not the name
// of a file: a type and the beginning that all encoded keys share.
var keyLine = regexp.MustCompile(`(^|[\s,])(ssh|ecdsa|sk)-[-@.\w]+\s+AAAA`)

// writableByOthers are the permission bits that a file of authorized keys must
// not have (sshd_config StrictModes).
const writableByOthers = 0o022

// keyring is all keys that may log in, as they are at the moment.
type keyring struct {
	log     *slog.Logger
	sources []*keySource
}

// keySource is a file of keys, or keys given as text.
type keySource struct {
	name string // for messages
	path string // "" for text
	text string

	mu      sync.Mutex
	data    []byte // last read
	problem string // last logged
	keys    []sshsrv.AuthorizedKey
}

// openKeyring reads all sources once. A source without any usable key is an
// error: somebody expects to be let in by it.
func openKeyring(o *options, log *slog.Logger) (*keyring, error) {
	k := &keyring{log: log}
	for _, value := range o.authorizedKeys {
		s := &keySource{name: value, path: value}
		if keyLine.MatchString(value) || strings.Contains(value, "PRIVATE KEY-----") {
			s = &keySource{name: "the key on the command line", text: value}
		}
		k.sources = append(k.sources, s)
	}
	if strings.TrimSpace(o.inlineKeys) != "" {
		k.sources = append(k.sources, &keySource{name: "RRSERVE_AUTHORIZED_KEYS", text: o.inlineKeys})
	}
	for _, s := range k.sources {
		refused, err := s.read()
		if err != nil {
			return nil, configf("--authorized-key %s: %w", s.name, err)
		}
		if len(s.keys) == 0 {
			reason := "the file holds none"
			if len(refused) > 0 {
				reason = refused[0].String()
			}
			return nil, configf("--authorized-key %s: no usable key: %s", s.name, reason)
		}
		k.logRefused(s, refused)
	}
	return k, nil
}

// Keys reads the files again and returns what they hold now. A file that has
// become unreadable lets nobody in.
func (k *keyring) Keys() []sshsrv.AuthorizedKey {
	var all []sshsrv.AuthorizedKey
	for _, s := range k.sources {
		s.mu.Lock()
		refused, err := s.read()
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		if problem != "" && problem != s.problem {
			k.log.Error("authorized keys cannot be used", "file", s.name, "err", problem)
		}
		s.problem = problem
		k.logRefused(s, refused)
		all = append(all, s.keys...)
		s.mu.Unlock()
	}
	return all
}

func (k *keyring) logRefused(s *keySource, refused []sshsrv.RefusedLine) {
	for _, r := range refused {
		k.log.Warn("authorized key refused", "file", s.name, "line", r.Line, "reason", r.Reason)
	}
}

// read brings s.keys up to date and returns the lines refused if the content
// is new.
func (s *keySource) read() ([]sshsrv.RefusedLine, error) {
	data := []byte(s.text)
	if s.path != "" {
		var err error
		if data, err = readKeyFile(s.path, writableByOthers); err != nil {
			s.data, s.keys = nil, nil
			return nil, err
		}
	}
	if s.data != nil && bytes.Equal(data, s.data) {
		return nil, nil
	}
	keys, refused := sshsrv.ParseAuthorizedKeys(data)
	s.data, s.keys = data, keys
	return refused, nil
}
