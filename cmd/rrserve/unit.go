package main

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rrserve/internal/unit"
)

// serviceUnit is the systemd unit that packages and make install bring.
const serviceUnit = "rrserve.service"

// Variables with a meaning of their own here.
const (
	unitVariable  = "RRSERVE_UNIT"
	runAsVariable = "RRSERVE_RUN_AS"
)

// unitDirectories are the variables in which systemd tells a process what it made for
// it to write to.
var unitDirectories = []string{"STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY"}

// unitDirs are where units are looked for; what lies in an earlier one hides what
// has the same name in a later one (systemd.unit(5)).
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

// unitVariables are the variables beginning with RRSERVE_ that a unit gives its
// process, and the file of the unit. The commands that look at the server as it is
// configured take them as if they stood in their own environment. RRSERVE_RUN_AS is
// the user of User=, unless it is there, and CREDENTIALS_DIRECTORY where systemd puts
// credentials while the unit runs; the unitDirectories are there too. Without such a
// unit file is empty.
func unitVariables(dirs []string, name string) (file string, vars map[string]string, err error) {
	files, err := unitFiles(dirs, name)
	if err != nil || len(files) == 0 {
		return "", nil, err
	}
	var s unit.Settings
	for _, path := range files {
		data, err := readUnitFile(path)
		if err == nil {
			err = s.Add(string(data))
		}
		if err != nil {
			return "", nil, configf("unit %s: %w", path, err)
		}
	}
	if vars, err = s.Environment(readUnitFile); err != nil {
		return "", nil, configf("%s: %w", name, err)
	}
	if _, ok := vars[runAsVariable]; !ok && s.User != "" {
		vars[runAsVariable] = s.User
	}
	maps.DeleteFunc(vars, func(name, _ string) bool { return !strings.HasPrefix(name, "RRSERVE_") })
	for _, name := range unitDirectories {
		if dirs := s.Directories[name]; len(dirs) > 0 {
			vars[name] = strings.Join(dirs, ":")
		}
	}
	if s.Credentials {
		vars[credentialsVariable] = "/run/credentials/" + name
	}
	return files[0], vars, nil
}

func readUnitFile(path string) ([]byte, error) { return readKeyFile(path, 0) }

// unitFiles are the file of a unit and then its drop-ins, in the order in which they
// count.
func unitFiles(dirs []string, name string) ([]string, error) {
	var first string
	dropIns := map[string]string{}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			first = cmp.Or(first, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, configf("unit %s: %w", path, bare(err))
		}
		found, err := filepath.Glob(path + ".d/*.conf")
		if err != nil {
			return nil, usagef("--unit %q: %w", name, err)
		}
		for _, path := range found {
			if base := filepath.Base(path); dropIns[base] == "" {
				dropIns[base] = path
			}
		}
	}
	if first == "" {
		return nil, nil
	}
	files := []string{first}
	for _, base := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[base])
	}
	return files, nil
}
