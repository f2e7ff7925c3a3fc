package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
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
// process, and the file of the unit. The commands that look at the server as it is
// configured take them as if they stood in their own environment. RRSERVE_RUN_AS is
// the user of User=, unless it is there, and CREDENTIALS_DIRECTORY where systemd puts
// credentials while the unit runs. Without such a unit file is empty.
func unitVariables(dirs []string, name string) (file string, vars map[string]string, err error) {
	files, err := unitFiles(dirs, name)
	if err != nil || len(files) == 0 {
		return "", nil, err
	}
	var s unitSettings
	for _, path := range files {
		data, err := readKeyFile(path, 0)
		if err != nil {
			return "", nil, configf("unit %s: %w", path, err)
		}
		for key, value := range serviceSettings(string(data)) {
			if err := s.set(key, value); err != nil {
				return "", nil, configf("unit %s: %s=%s: %w", path, key, value, err)
			}
		}
	}
	if vars, err = s.environment(); err != nil {
		return "", nil, configf("%s: %w", name, err)
	}
	if _, ok := vars[runAsVariable]; !ok && s.user != "" {
		vars[runAsVariable] = s.user
	}
	maps.DeleteFunc(vars, func(name, _ string) bool { return !strings.HasPrefix(name, "RRSERVE_") })
	if s.credentials {
		vars[credentialsVariable] = "/run/credentials/" + name
	}
	return files[0], vars, nil
}

// unitSettings are those of a unit that say what its process finds.
type unitSettings struct {
	assignments []string // of Environment=
	files       []string // of EnvironmentFile=
	unset       []string // of UnsetEnvironment=
	user        string
	credentials bool // there are any
}

// set is told of all settings in the order in which they count. An empty one takes back
// what came before.
func (s *unitSettings) set(key, value string) error {
	add := func(list *[]string, values ...string) {
		if *list = append(*list, values...); value == "" {
			*list = nil
		}
	}
	switch key {
	case "Environment":
		words, err := unquoteWords(value)
		if err != nil {
			return err
		}
		add(&s.assignments, words...)
	case "EnvironmentFile":
		add(&s.files, value)
	case "UnsetEnvironment":
		add(&s.unset, strings.Fields(value)...)
	case "User":
		s.user = value
	case "LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted":
		s.credentials = value != ""
	}
	return nil
}

// environment is what systemd makes of the settings: files win over assignments, and
// what is unset, by its name or with its value, is gone.
func (s *unitSettings) environment() (map[string]string, error) {
	vars := map[string]string{}
	for _, word := range s.assignments {
		name, value, _ := strings.Cut(word, "=")
		vars[name] = strings.ReplaceAll(value, "%%", "%")
	}
	for _, file := range s.files {
		path, optional := strings.CutPrefix(file, "-")
		data, err := readKeyFile(path, 0)
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = parseEnvFile(string(data), vars)
		}
		if err != nil {
			return nil, fmt.Errorf("EnvironmentFile=%s: %w", file, err)
		}
	}
	maps.DeleteFunc(vars, func(name, value string) bool {
		return slices.Contains(s.unset, name) || slices.Contains(s.unset, name+"="+value)
	})
	return vars, nil
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
func serviceSettings(text string) iter.Seq2[string, string] {
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

// unquoteWords takes a line apart at its spaces, except in quotes, which may begin and
// end within a word.
func unquoteWords(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word strings.Builder
		for line != "" && !strings.ContainsRune(" \t", rune(line[0])) {
			part := ""
			if part, line, err = unquote(line, " \t\"'"); err != nil {
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
// otherwise up to one of the characters of stop; and what follows. A backslash
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
