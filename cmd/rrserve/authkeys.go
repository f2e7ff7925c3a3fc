package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rrserve/internal/config"
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
	log    *slog.Logger
	access atomic.Pointer[access]

	mu      sync.Mutex
	sources []*keySource
	first   []*keySource          // sources of the start, some of them held
	dir     string                // of further sources; "" for none
	inDir   map[string]*keySource // by file name
	problem string                // with dir, last logged
}

// keySource is a file of keys, or keys given as text.
type keySource struct {
	name   string // for messages
	client string // whose keys these are; "": the keys' comments say it
	path   string // "" for text
	text   string
	file   *os.File // opened at the start where losesNames
	held   bool     // file is read, not path

	data    []byte  // last read
	of      *access // by which keys were given what they may do
	problem string  // last logged
	refused []sshsrv.RefusedLine
	keys    []sshsrv.AuthorizedKey
}

// newKeyring names the sources and reads none.
func newKeyring(o *options, a *access, log *slog.Logger) *keyring {
	k := &keyring{log: log, dir: o.keysDir, inDir: make(map[string]*keySource), sources: keySources(o)}
	k.access.Store(a)
	return k
}

// openKeyring reads all sources once. A source without any usable key is an
// error: somebody expects to be let in by it. A directory may be empty, to be
// filled later.
func openKeyring(o *options, a *access, log *slog.Logger) (*keyring, error) {
	k := newKeyring(o, a, log)
	for _, s := range k.sources {
		if err := k.open(s, a); err != nil {
			return nil, err
		}
		if s.path != "" && losesNames {
			var err error
			if s.file, err = os.Open(s.path); err != nil {
				return nil, configf("--authorized-key %s: %w", s.name, bare(err))
			}
		}
	}
	k.first = k.sources
	if k.dir != "" {
		if err := k.list(); err != nil {
			return nil, configf("--keys-dir %s: %w", k.dir, err)
		}
		if len(k.Keys()) == 0 {
			log.Warn("nobody can log in yet; put a public key there, as NAME.pub", "directory", k.dir)
		}
	}
	return k, nil
}

// keySources are the sources that the options name one by one, not yet read.
func keySources(o *options) []*keySource {
	var all []*keySource
	for _, value := range o.givenKeys() {
		s := &keySource{name: value, path: value}
		if keyLine.MatchString(value) || strings.Contains(value, "PRIVATE KEY-----") {
			s = &keySource{name: "the key on the command line", text: value}
		}
		all = append(all, s)
	}
	if strings.TrimSpace(o.inlineKeys) != "" {
		all = append(all, &keySource{name: o.inlineName, text: o.inlineKeys})
	}
	return all
}

// givenKeys are the files of keys, or keys, that are named one by one. Where nothing
// says who may log in, it is the file of the credential.
func (o *options) givenKeys() []string {
	if len(o.authorizedKeys) > 0 || strings.TrimSpace(o.inlineKeys) != "" || o.keysDir != "" {
		return o.authorizedKeys
	}
	if path := o.credential(authorizedKeysCredential); path != "" {
		return []string{path}
	}
	return nil
}

// prepare returns the sources that the options name: those that are known as they
// are, and new ones after reading them, by what a lets their keys do.
func (k *keyring) prepare(o *options, a *access) ([]*keySource, error) {
	k.mu.Lock()
	known := slices.Concat(k.sources, k.first)
	k.mu.Unlock()
	all := keySources(o)
	for i, s := range all {
		same := func(x *keySource) bool { return x.path == s.path && x.text == s.text }
		if j := slices.IndexFunc(known, same); j >= 0 {
			all[i] = known[j]
		} else if err := k.open(s, a); err != nil {
			return nil, err
		}
	}
	if o.keysDir != "" {
		if _, err := publicKeyFiles(o.keysDir); err != nil {
			return nil, configf("--keys-dir %s: %w", o.keysDir, err)
		}
	}
	return all, nil
}

// replace takes other sources, another directory of them, and another access.
func (k *keyring) replace(a *access, sources []*keySource, dir string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if dir != k.dir {
		clear(k.inDir)
	}
	k.sources, k.dir = sources, dir
	k.access.Store(a)
}

// open reads a source for the first time.
func (k *keyring) open(s *keySource, a *access) error {
	refused, err := s.read(a)
	if err != nil {
		return configf("--authorized-key %s: %w", s.name, err)
	}
	if len(s.keys) == 0 {
		reason := "the file holds none"
		if len(refused) > 0 {
			reason = refused[0].String()
		}
		return configf("--authorized-key %s: no usable key: %s", s.name, reason)
	}
	k.logRefused(s, refused)
	return nil
}

// Keys reads the files again and returns what they hold now. A file that has
// become unreadable lets nobody in.
func (k *keyring) Keys() []sshsrv.AuthorizedKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dir != "" {
		k.complain("", &k.problem, k.list())
	}
	var all []sshsrv.AuthorizedKey
	for _, s := range k.all() {
		all = append(all, k.keysOf(s)...)
	}
	return all
}

// all returns the sources in the order in which their keys are tried.
func (k *keyring) all() []*keySource {
	all := slices.Clone(k.sources)
	for _, name := range slices.Sorted(maps.Keys(k.inDir)) {
		all = append(all, k.inDir[name])
	}
	return all
}

func (k *keyring) keysOf(s *keySource) []sshsrv.AuthorizedKey {
	refused, err := s.read(k.access.Load())
	k.complain(s.name, &s.problem, err)
	k.logRefused(s, refused)
	return s.keys
}

// complain logs an error unless it is the one that was logged last.
func (k *keyring) complain(file string, last *string, err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && problem != *last {
		k.log.Error("authorized keys cannot be used", "file", cmp.Or(file, k.dir), "err", problem)
	}
	*last = problem
}

// list brings the sources of the directory up to date: its files NAME.pub. A
// directory that others can write to, or that cannot be read, has none.
func (k *keyring) list() error {
	names, err := publicKeyFiles(k.dir)
	if err != nil {
		clear(k.inDir)
		return err
	}
	maps.DeleteFunc(k.inDir, func(name string, _ *keySource) bool { return !slices.Contains(names, name) })
	for _, name := range names {
		if k.inDir[name] == nil {
			path := filepath.Join(k.dir, name)
			k.inDir[name] = &keySource{name: path, path: path, client: strings.TrimSuffix(name, ".pub")}
		}
	}
	return nil
}

func publicKeyFiles(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, bare(err)
	}
	if mode := info.Mode().Perm(); mode&writableByOthers != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("mode %04o is too open; allowed is %04o", mode, mode&^writableByOthers)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, bare(err)
	}
	var names []string
	for _, e := range entries {
		if client, ok := strings.CutSuffix(e.Name(), ".pub"); ok && config.ValidName(client) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (k *keyring) logRefused(s *keySource, refused []sshsrv.RefusedLine) {
	for _, r := range refused {
		k.log.Warn("authorized key refused", "file", s.name, "line", r.Line, "reason", r.Reason)
	}
}

// read brings s.keys up to date and returns the lines refused if the content is
// new, or they are others than before.
func (s *keySource) read(a *access) ([]sshsrv.RefusedLine, error) {
	data, err := s.content()
	if err != nil {
		s.data, s.keys = nil, nil
		return nil, err
	}
	if s.data != nil && s.of == a && bytes.Equal(data, s.data) {
		return nil, nil
	}
	edited := !bytes.Equal(data, s.data)
	keys, refused := sshsrv.ParseAuthorizedKeys(data)
	s.data, s.of, s.keys = data, a, nil
	for _, key := range keys {
		client := cmp.Or(s.client, config.Name(key.Name))
		g, err := a.grant(client, key.Command)
		if err != nil {
			refused = append(refused, sshsrv.RefusedLine{Line: key.Line, Reason: err.Error()})
			continue
		}
		key.Name, key.Grant = g.client, g
		key.Forced = func(command string) (any, error) { return a.grant(client, command) }
		key.From(g.limits.Addresses())
		s.keys = append(s.keys, key)
	}
	if !edited && slices.Equal(refused, s.refused) {
		return nil, nil
	}
	s.refused = refused
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

// roots are the directories that keys may be given, as of tells them: those of the
// configuration, whether a key has them or not, and those of the keys.
func (k *keyring) roots(of func(*servedRoot) string) []string {
	all := k.access.Load().directories(of)
	for _, key := range k.Keys() {
		all = append(all, of(key.Grant.(*grant).root))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// confined is told what the sandbox lets be read. A key that is given another
// directory later is refused, as long as the server runs.
func (k *keyring) confined(trees []string) {
	a := *k.access.Load()
	for _, tree := range trees {
		a.trees = append(a.trees, tree)
		if real, err := filepath.EvalSymlinks(tree); err == nil && real != tree {
			a.trees = append(a.trees, real)
		}
	}
	k.access.Store(&a)
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
