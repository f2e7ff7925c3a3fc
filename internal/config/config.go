// Package config reads rrserve.toml. The file is optional; it adds to the flags
// what does not fit on a command line: several roots, and limits per client.
//
//	root = "/srv"                     # every flag, with _ for -
//
//	[roots.photos]
//	path = "/srv/photos"
//
//	[clients.pi]                      # who has the keys of keys.d/pi.pub
//	root = "photos"
//	hours = ["22:00-06:00"]
//
// What is unknown, misspelt or out of bounds is an error with its line: a limit
// that is silently not applied is worse than a server that does not start.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"rrserve/internal/sshsrv"
)

// MaxFile bounds the size of a file in bytes.
const MaxFile = 1 << 20

// maxClientName bounds the name of a client in bytes. It is a label of metrics
// and a column of the status page.
const maxClientName = 64

// maxSnapshotTime bounds snapshot_share and snapshot_timeout. A server that stops
// waits for the latter.
const maxSnapshotTime = time.Hour

// Config is the content of a file.
type Config struct {
	Settings
	Roots   map[string]*Root   `toml:"roots"`
	Clients map[string]*Client `toml:"clients"`
}

// Root is a directory that is served.
type Root struct {
	Path       string `toml:"path"`        // absolute
	MungeLinks bool   `toml:"munge_links"` // send link targets without rsync's munge prefix
	Absolute   bool   `toml:"absolute"`    // names of clients may begin with Path

	// A command that makes the tree of a session, for which see package snapshot.
	SnapshotCmd     []string `toml:"snapshot_cmd"`     // program and arguments; none: Path itself is served
	SnapshotDir     string   `toml:"snapshot_dir"`     // absolute and clean; what the command prints lies below it
	SnapshotShare   Duration `toml:"snapshot_share"`   // sessions that begin within it share a snapshot; 0: the default
	SnapshotTimeout Duration `toml:"snapshot_timeout"` // for the path to appear, and for the clean-up; 0: the default
}

// Client is what the keys of one client may do, and when. The zero value limits
// nothing.
type Client struct {
	Root        string   `toml:"root"`         // name of a Root; "": what the key's line or --root says
	From        []string `toml:"from"`         // addresses to log in from, as in authorized_keys; none: any
	Hours       []Hours  `toml:"hours"`        // when a pull may begin; none: always
	MaxSessions int      `toml:"max_sessions"` // at the same time; 0: as the server's own limit
	BWLimit     Rate     `toml:"bwlimit"`      // of each session; 0: none
	StaleAfter  Duration `toml:"stale_after"`  // age of the last complete pull at which freshness turns red; 0: never

	from sshsrv.AddressList
}

// Parse reads a file. Its name is only used in messages, which are of the form
// FILE:LINE: what is wrong.
func Parse(name string, data []byte) (*Config, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, MaxFile)
	}
	c := new(Config)
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows add it
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(c)
	var strict *toml.StrictMissingError
	var decode *toml.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &strict):
		e := &strict.Errors[0]
		line, _ := e.Position()
		return nil, fmt.Errorf("%s:%d: unknown key %s", name, line, unknown(e.Key()))
	case errors.As(err, &decode):
		line, _ := decode.Position()
		return nil, fmt.Errorf("%s:%d: %s", name, line, problem(decode))
	default:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func unknown(key toml.Key) string {
	hint := ""
	if strings.Contains(key[len(key)-1], "-") {
		hint = "; the names of flags have _ for - here"
	}
	return strings.Join(key, ".") + hint
}

// wrongType is the library's message about a value of the wrong type, which names
// Go's types.
var wrongType = regexp.MustCompile(`^toml: cannot decode TOML (.*) into (?:.* )?(\S+)$`)

func problem(e *toml.DecodeError) string {
	if m := wrongType.FindStringSubmatch(e.Error()); m != nil {
		return fmt.Sprintf("%s is of type %s; allowed is %s", strings.Join(e.Key(), "."), m[1], allowed(m[2]))
	}
	return strings.TrimPrefix(e.Error(), "toml: ")
}

// allowed is what a field of a type of Go takes, in the words of TOML.
func allowed(goType string) string {
	switch strings.TrimPrefix(goType, "*") {
	case "[]string", "[]config.Hours":
		return `an array of strings, ["..."]`
	case "string", "config.Hours", "config.Rate", "config.Duration":
		return `a string, "..."`
	case "int":
		return "an integer"
	case "bool":
		return "true or false"
	}
	return "a table, [...]"
}

// check finds what is wrong beyond the types of values.
func (c *Config) check() error {
	for name, r := range c.Roots {
		if err := r.check(); err != nil {
			return fmt.Errorf("roots.%s: %w", name, err)
		}
	}
	for name, cl := range c.Clients {
		_, known := c.Roots[cl.Root]
		switch {
		case !ValidName(name):
			return fmt.Errorf("clients.%s: not a name; allowed are up to %d printable characters without a slash", name, maxClientName)
		case cl.Root != "" && !known:
			return fmt.Errorf("clients.%s: there is no roots.%s", name, cl.Root)
		case cl.MaxSessions < 0:
			return fmt.Errorf("clients.%s: max_sessions %d; allowed is 1 and more, or 0 for the server's own limit", name, cl.MaxSessions)
		}
		if len(cl.From) > 0 {
			var err error
			if cl.from, err = sshsrv.ParseAddressList(strings.Join(cl.From, ",")); err != nil {
				return fmt.Errorf("clients.%s: from: %w", name, err)
			}
		}
	}
	return nil
}

func (r *Root) check() error {
	if !path.IsAbs(r.Path) {
		return fmt.Errorf("path %q; allowed is an absolute path", r.Path)
	}
	if len(r.SnapshotCmd) == 0 {
		if r.SnapshotDir != "" || r.SnapshotShare.Duration != 0 || r.SnapshotTimeout.Duration != 0 {
			return errors.New("snapshot_cmd is missing: the program that makes snapshots, with its arguments")
		}
		return nil
	}
	if !path.IsAbs(r.SnapshotCmd[0]) {
		return fmt.Errorf("snapshot_cmd %q; allowed is a program with an absolute path", r.SnapshotCmd[0])
	}
	if !path.IsAbs(r.SnapshotDir) || r.SnapshotDir != path.Clean(r.SnapshotDir) || r.SnapshotDir == "/" {
		return fmt.Errorf("snapshot_dir %q; allowed is an absolute, clean path: the directory in which snapshots lie", r.SnapshotDir)
	}
	if max(r.SnapshotShare.Duration, r.SnapshotTimeout.Duration) > maxSnapshotTime {
		return fmt.Errorf("snapshot_share and snapshot_timeout; allowed is up to %v", maxSnapshotTime)
	}
	return nil
}

// ValidName reports whether name may be a client's.
func ValidName(name string) bool {
	return name != "" && len(name) <= maxClientName && !strings.HasPrefix(name, ".") && name == printable(name)
}

// printable leaves out what would not stand in a log line, a label or a file
// name as itself.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\ufffd' || !isGraphicOrBlank(r) {
			return -1
		}
		return r
	}, name)
}

// Name makes a client's name of a text that somebody wrote for people, such as
// a key's comment; "" where nothing is left of it.
func Name(text string) string {
	name := strings.TrimLeft(strings.TrimSpace(printable(text)), ".")
	for len(name) > maxClientName {
		_, size := lastRune(name)
		name = name[:len(name)-size]
	}
	return strings.TrimSpace(name)
}
