package main

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	file *os.File // opened at the start where losesNames
	held bool     // file is read, not path

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
		if s.path != "" && losesNames {
			if s.file, err = os.Open(s.path); err != nil {
				return nil, configf("--authorized-key %s: %w", s.name, bare(err))
			}
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
	data, err := s.content()
	if err != nil {
		s.data, s.keys = nil, nil
		return nil, err
	}
	if s.data != nil && bytes.Equal(data, s.data) {
		return nil, nil
	}
	keys, refused := sshsrv.ParseAuthorizedKeys(data)
	s.data, s.keys = data, keys
	return refused, nil
}

func (s *keySource) content() ([]byte, error) {
	switch {
	case s.path == "":
		return []byte(s.text), nil
	case !s.held:
		return readKeyFile(s.path, writableByOthers)
	case replaced(s.file, s.path):
		return nil, errors.New("the file was replaced or removed since the start; restart the server to read the new one")
	}
	return readOpenKeyFile(s.file, writableByOthers)
}

// hold is told which directories the sandbox leaves within reach of this process,
// as the user that it is by now. A file of keys that lies elsewhere, or that this
// user may not read, is read from then on through the descriptor of the start,
// again at each login. If another file takes its place, neither lets anybody in:
// the new one is out of reach, and what the old one said may have been revoked.
func (k *keyring) hold(dirs []string) {
	for _, s := range k.sources {
		if s.path == "" {
			continue
		}
		if _, err := readKeyFile(s.path, writableByOthers); err == nil && below(s.path, dirs) {
			s.file.Close()
			continue
		}
		s.held = true
		k.log.Info("a file of keys may be edited at any time; if it is replaced by another one, restart the server", "file", s.name)
	}
}

// below reports whether what path leads to lies below one of the directories.
func below(path string, dirs []string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	return err == nil && slices.ContainsFunc(dirs, func(dir string) bool {
		dir, err := filepath.EvalSymlinks(dir)
		return err == nil && strings.HasPrefix(real, strings.TrimSuffix(dir, "/")+"/")
	})
}

// replaced reports whether the path leads to another file than f by now. Where
// it cannot be followed, the file's last name being gone says so.
func replaced(f *os.File, path string) bool {
	here, err := f.Stat()
	if err != nil {
		return true
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrPermission) {
		return unlinked(here)
	}
	return err != nil || !os.SameFile(here, there)
}
