// Package rrsync reads how rrsync(1) is called, so that what it allows to a key
// today, rrserve can allow tomorrow:
//
//	command="rrsync -ro /srv/backup",restrict ssh-ed25519 AAAA... pi
package rrsync

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"rrserve/internal/rsyncproto/argv"
)

// Restriction is what one call of rrsync -ro allows.
type Restriction struct {
	Dir        string // -ro DIR: absolute and clean
	MungeLinks bool   // -munge: link targets are sent without rsync's munge prefix
	Absolute   bool   // -absolute: names of the client may begin with Dir
}

// ParseCommand reads a forced command, such as
//
//	/usr/bin/rrsync -ro -munge "/srv/my backup"
//
// The program is rrsync or rrserve, wherever it is installed. Anything else that
// the command would do could not be honoured, and is an error.
func ParseCommand(command string) (Restriction, error) {
	words, err := argv.Split(command)
	if err != nil {
		return Restriction{}, errors.New("a forced command with shell syntax, and no shell runs here")
	}
	if len(words) == 0 || !isProgram(words[0].String()) {
		return Restriction{}, errors.New(`a forced command must be "rrsync -ro DIR" or "rrserve -ro DIR"`)
	}
	var args []string
	for _, w := range words[1:] {
		args = append(args, w.String())
	}
	return ParseArgs(args, "")
}

func isProgram(word string) bool {
	name := path.Base(word)
	return name == "rrsync" || name == "rrserve"
}

// Options are the words of rrsync's command line beside DIR.
var Options = []string{"-ro", "-wo", "-munge", "-absolute", "-no-del", "-no-lock", "-no-overwrite"}

// IsCall reports whether what stands behind the program's name is a command line
// of rrsync: it begins with one of its words, or with an absolute DIR.
func IsCall(args []string) bool {
	return len(args) > 0 && (slices.Contains(Options, args[0]) || path.IsAbs(args[0]))
}

// ParseArgs reads what stands behind the program's name. A DIR that does not
// begin with a slash lies in home, an absolute path; if that is "", it is an error.
func ParseArgs(args []string, home string) (r Restriction, err error) {
	readOnly := false
	for _, arg := range args {
		switch {
		case arg == "-ro":
			readOnly = true
		case arg == "-wo":
			return r, errors.New("-wo: rrserve is read-only")
		case arg == "-munge":
			r.MungeLinks = true
		case arg == "-absolute":
			r.Absolute = true
		case arg == "-no-del", arg == "-no-lock", arg == "-no-overwrite":
			// -ro implies the first two, and the third is about writing.
		case strings.HasPrefix(arg, "-"):
			return r, fmt.Errorf("option %q is none of %s", arg, strings.Join(Options, ", "))
		case r.Dir != "":
			return r, fmt.Errorf("two directories, %q and %q; allowed is one", r.Dir, arg)
		case !path.IsAbs(arg) && home == "":
			return r, fmt.Errorf("directory %q must begin with a slash: there is no home directory that it could lie in", arg)
		default:
			if r.Dir = path.Clean(arg); !path.IsAbs(arg) {
				r.Dir = path.Join(home, arg)
			}
		}
	}
	switch {
	case r.Dir == "":
		return r, errors.New("no directory; allowed is -ro DIR")
	case !readOnly:
		return r, errors.New("without -ro the client could write, and rrserve is read-only; add -ro")
	}
	return r, nil
}
