package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"rrserve/internal/sshsrv"
)

const (
	systemStateDir = "/var/lib/rrserve"
	hostKeyName    = "ssh_host_ed25519_key" // as sshd names it

	// open to the world, or writable by a group. A group may read: that is how
	// container platforms hand out secrets.
	hostKeyForbidden = 0o027
)

// hostKeyFile is a host key and the file that it was read from.
type hostKeyFile struct {
	sshsrv.HostKey
	path string
}

// loadHostKeys reads the files given, or else the one in the state directory,
// which is made on the first start.
func loadHostKeys(o *options, log *slog.Logger) ([]hostKeyFile, error) {
	paths := o.givenHostKeys()
	if len(paths) == 0 {
		path := o.defaultHostKey()
		made, err := makeHostKey(path)
		if err != nil {
			return nil, configf("making a host key: %w; choose another place with --state-dir or --host-key", err)
		}
		if made {
			log.Info("host key made", "file", path)
		}
		paths = []string{path}
	}
	var keys []hostKeyFile
	seen := make(map[string]string) // type to path
	for _, path := range paths {
		data, err := readKeyFile(path, hostKeyForbidden)
		if err != nil {
			return nil, configf("host key %s: %w", path, err)
		}
		key, err := sshsrv.ParseHostKey(data)
		if err != nil {
			return nil, configf("host key %s: %w", path, err)
		}
		if other, ok := seen[key.Type()]; ok {
			return nil, configf("host keys %s and %s are both of type %s; one of each is served", other, path, key.Type())
		}
		seen[key.Type()] = path
		keys = append(keys, hostKeyFile{key, path})
	}
	return keys, nil
}

// givenHostKeys are the files that are named, or else those of credentials.
func (o *options) givenHostKeys() []string {
	if len(o.hostKeys) > 0 {
		return o.hostKeys
	}
	var paths []string
	for _, name := range hostKeyCredentials {
		if path := o.credential(name); path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// defaultHostKey is the file that is used if none is given.
func (o *options) defaultHostKey() string { return filepath.Join(o.stateDirectory(), hostKeyName) }

// stateDirectory is where the host key is kept: the flag, systemd's
// StateDirectory=, the system's place where it can be written, the user's.
func (o *options) stateDirectory() string {
	if o.stateDir != "" {
		return o.stateDir
	}
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 || takesFiles(systemStateDir) == nil {
		return systemStateDir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "rrserve")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return systemStateDir // making the key there will say what is wrong
	}
	return filepath.Join(home, ".local", "state", "rrserve")
}

// makeHostKey makes a key at path, and its public half beside it, unless there
// is one. A key that exists is never replaced, and never seen half written.
func makeHostKey(path string) (made bool, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	private, public, err := sshsrv.GenerateHostKey("rrserve@" + hostname())
	if err != nil {
		return false, err
	}
	switch err := writeNew(path, private, 0o600); {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return false, nil
	case err != nil:
		return false, err
	}
	os.Remove(path + ".pub") // left over from another key
	return true, writeNew(path+".pub", public, 0o644)
}

// writeNew makes a file with this content, or fails with fs.ErrExist.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	err = os.Link(f.Name(), path) // unlike a rename, fails when path exists
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return writeExclusive(path, data, mode)
}

// writeExclusive is for file systems without hard links.
func writeExclusive(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// hostname is this machine's name as others may know it.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "HOST"
	}
	return name
}
