package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// serviceUnit is the systemd unit that packages and make install bring.
const serviceUnit = "rrserve.service"

// Variables with a meaning of their own here.
const (
	unitVariable  = "RRSERVE_UNIT"
	runAsVariable = "RRSERVE_RUN_AS"
)

// unitDirs are where units are looked for; what lies in an earlier one hides what
// has the same name in a later one (systemd.unit(5)).
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

// unitVariables are the variables beginning with RRSERVE_ that a unit gives its
// process, and the file of the unit: those of Environment= and EnvironmentFile= but for UnsetEnvironment=, in its file and
// its drop-ins.
// The commands that look at the server as it is configured take them as if they stood
// in their own environment. RRSERVE_RUN_AS is the user of User=, unless it is there, and
// CREDENTIALS_DIRECTORY where systemd puts credentials while the unit runs.
// Without such a unit file is empty.
func unitVariables(dirs []string, name string) (file string, vars map[string]string, err error) {
	files, err := unitFiles(dirs, name)
	if err != nil || len(files) == 0 {
		return "", nil, err
	}
	var assignments, envFiles, unset []string
	var user string
	var credentials bool
	for _, file := range files {
		data, err := readKeyFile(file, 0)
		if err != nil {
			return "", nil, configf("unit %s: %w", file, err)
		}
		for key, value := range serviceSettings(string(data)) {
			// One that is empty takes back what came before.
			switch {
			case key == "Environment" && value == "":
				assignments = nil
			case key == "Environment":
				words, err := unquoteWords(value)
				if err != nil {
					return "", nil, configf("unit %s: Environment=%s: %w", file, value, err)
				}
				assignments = append(assignments, words...)
			case key == "UnsetEnvironment" && value == "":
				unset = nil
			case key == "UnsetEnvironment":
				unset = append(unset, strings.Fields(value)...)
			case strings.HasPrefix(key, "LoadCredential") || strings.HasPrefix(key, "SetCredential"):
				credentials = value != ""
			case key == "User":
				user = value
			case key == "EnvironmentFile" && value == "":
				envFiles = nil
			case key == "EnvironmentFile":
				envFiles = append(envFiles, value)
			}
		}
	}
	vars = map[string]string{}
	for _, word := range assignments {
		name, value, _ := strings.Cut(word, "=")
		vars[name] = strings.ReplaceAll(value, "%%", "%")
	}
	for _, file := range envFiles {
		path, optional := strings.CutPrefix(file, "-")
		data, err := readKeyFile(path, 0)
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = parseEnvFile(string(data), vars)
		}
		if err != nil {
			return "", nil, configf("EnvironmentFile=%s of %s: %w", file, name, err)
		}
	}
	// Last, and either by name or with the value.
	maps.DeleteFunc(vars, func(name, value string) bool {
		return slices.Contains(unset, name) || slices.Contains(unset, name+"="+value)
	})
	if _, ok := vars[runAsVariable]; !ok && user != "" {
		vars[runAsVariable] = user
	}
	maps.DeleteFunc(vars, func(name, _ string) bool { return !strings.HasPrefix(name, "RRSERVE_") })
	if credentials {
		vars[credentialsVariable] = "/run/credentials/" + name
	}
	return files[0], vars, nil
}

// unitFiles are the file of a unit and then its drop-ins, in the order in which they
// count.
func unitFiles(dirs []string, name string) ([]string, error) {
	var unit string
	dropIns := map[string]string{}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			unit = cmp.Or(unit, path)
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
	if unit == "" {
		return nil, nil
	}
	files := []string{unit}
	for _, base := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[base])
	}
	return files, nil
}

// serviceSettings yields what stands in the section [Service] of a unit's file.
func serviceSettings(text string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		section := ""
		text := strings.ReplaceAll(text, "\\\n", " ")
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			key, value, ok := strings.Cut(line, "=")
			switch {
			case line == "" || line[0] == '#' || line[0] == ';':
			case line[0] == '[':
				section = line
			case ok && section == "[Service]" && !yield(strings.TrimSpace(key), strings.TrimSpace(value)):
				return
			}
		}
	}
}

// unquoteWords takes a line apart at its spaces, except in quotes.
func unquoteWords(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word strings.Builder
		for line != "" && !strings.ContainsRune(" \t", rune(line[0])) {
			part := ""
			if part, line, err = unquote(line, " \t"); err != nil {
				return nil, err
			}
			word.WriteString(part)
		}
		words = append(words, word.String())
	}
	return words, nil
}

// parseEnvFile adds the variables of a file of EnvironmentFile= to vars. A value in
// quotes may go over several lines.
func parseEnvFile(text string, vars map[string]string) error {
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			text = rest
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=VALUE", trimmed)
		}
		value, rest, err := unquote(strings.TrimLeft(text[len(name)+1:], " \t"), "\n")
		if err != nil {
			return err
		}
		vars[strings.TrimSpace(name)] = strings.TrimSpace(value)
		_, text, _ = strings.Cut(rest, "\n")
	}
	return nil
}

// unquote returns the text up to the closing quote if s begins with a quote,
// otherwise up to one of the characters of stop or a quote; and what follows. A backslash
// takes the special meaning of the next character away, except in single quotes.
func unquote(s, stop string) (text, rest string, err error) {
	var b strings.Builder
	quote := byte(0)
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		quote, s = s[0], s[1:]
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			return b.String(), s[i+1:], nil
		case quote == 0 && strings.IndexByte(stop, c) >= 0:
			return b.String(), s[i:], nil
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", fmt.Errorf("a quote %c is not closed", quote)
	}
	return b.String(), "", nil
}
