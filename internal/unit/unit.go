// Package unit reads what a systemd unit says of the surroundings of its process,
// systemd.exec(5). Of specifiers it knows %% alone.
package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Settings are those of a unit that say what its process finds.
type Settings struct {
	User        string // of User=
	Credentials bool   // there are any
	// Directories are those that systemd makes for the process to write to, by the
	// variable that names them.
	Directories map[string][]string

	assignments []string // of Environment=
	files       []string // of EnvironmentFile=
	unset       []string // of UnsetEnvironment=
}

// Add adds what a file of the unit says. The unit's own file comes first, then its
// drop-ins in the order in which they count.
func (s *Settings) Add(text string) error {
	for key, value := range service(text) {
		if err := s.set(key, value); err != nil {
			return fmt.Errorf("%s=%s: %w", key, value, err)
		}
	}
	return nil
}

// set is told of all settings in the order in which they count. An empty one takes back
// what came before.
func (s *Settings) set(key, value string) error {
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
		s.User = value
	case "LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted":
		s.Credentials = value != ""
	case "StateDirectory":
		s.addDirectories("STATE_DIRECTORY", "/var/lib/", value)
	case "CacheDirectory":
		s.addDirectories("CACHE_DIRECTORY", "/var/cache/", value)
	case "LogsDirectory":
		s.addDirectories("LOGS_DIRECTORY", "/var/log/", value)
	}
	return nil
}

func (s *Settings) addDirectories(variable, parent, value string) {
	dirs := s.Directories[variable]
	for _, word := range strings.Fields(value) {
		name, _, _ := strings.Cut(word, ":") // what follows is another name of it
		dirs = append(dirs, parent+name)
	}
	if value == "" {
		dirs = nil
	}
	if s.Directories == nil {
		s.Directories = map[string][]string{}
	}
	s.Directories[variable] = dirs
}

// Environment is what systemd makes of the settings: files, which read reads, win over
// assignments, and what is unset, by its name or with its value, is gone.
func (s *Settings) Environment(read func(path string) ([]byte, error)) (map[string]string, error) {
	vars := map[string]string{}
	for _, word := range s.assignments {
		name, value, _ := strings.Cut(word, "=")
		vars[name] = strings.ReplaceAll(value, "%%", "%")
	}
	for _, file := range s.files {
		path, optional := strings.CutPrefix(file, "-")
		data, err := read(path)
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

// service yields what stands in the section [Service] of a unit's file.
func service(text string) iter.Seq2[string, string] {
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
