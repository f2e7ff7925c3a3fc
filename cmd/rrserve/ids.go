package main

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"
)

// idFile is the names of /etc/passwd or /etc/group. The files are read
// directly, because the binary is static: what only NSS knows (LDAP, sssd) has
// no name here, and rsync then sends the number alone.
type idFile struct {
	path string

	mu      sync.Mutex
	changed time.Time // modification time of what is in names
	size    int64
	names   map[uint32]string // replaced as a whole, never changed
}

// newIDFile reads the file for the first time, while it is within reach.
func newIDFile(path string) *idFile {
	f := &idFile{path: path}
	f.Names()
	return f
}

// Names returns a lookup over the file as it is now, read again if it changed.
// The lookup gives "" for an id without a name. A file that cannot be read
// leaves the names as they were.
func (f *idFile) Names() func(id uint32) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if info, err := os.Stat(f.path); err == nil && (f.names == nil || !info.ModTime().Equal(f.changed) || info.Size() != f.size) {
		if data, err := os.ReadFile(f.path); err == nil {
			f.names, f.changed, f.size = parseIDs(data), info.ModTime(), info.Size()
		}
	}
	names := f.names
	return func(id uint32) string { return names[id] }
}

// parseIDs reads the format that passwd(5) and group(5) share: name, password
// and number, separated by colons. The first of several names of one number
// counts, as with getpwuid(3).
func parseIDs(data []byte) map[uint32]string {
	names := make(map[uint32]string)
	for line := range bytes.Lines(data) {
		fields := bytes.SplitN(bytes.TrimSpace(line), []byte(":"), 4)
		if len(fields) < 4 || len(fields[0]) == 0 || fields[0][0] == '#' {
			continue
		}
		id, err := strconv.ParseUint(string(fields[2]), 10, 32)
		if err != nil {
			continue
		}
		if _, ok := names[uint32(id)]; !ok {
			names[uint32(id)] = string(fields[0])
		}
	}
	return names
}
