package rsyncproto

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/wire"
)

// The opening of the daemon protocol, which a client speaks for host::module
// and, with a remote shell, for rsync://. The facts are from rsyncd.conf(5) and
// rsync(1) and from recordings of rsync 3.5.0 and 3.2.7.
//
//	both      @RSYNCD: 32.0 sha512 sha256 sha1 md5 md4
//	client    the name of a module, or nothing or #list for the list of them
//	server    @RSYNCD: OK, or the list and @RSYNCD: EXIT, or @ERROR: and why
//	client    the arguments, see argv.Pull.ReadDaemon
//
// Then everything goes on as after the exchange of versions over a plain remote
// shell. Nobody authenticates in here: SSH has done it.
//
// Of what a stock daemon does, two things are left out: MSG_IO_TIMEOUT, which
// would tell the client its own --timeout, and names with ".." in them,
// which are refused and not cut off at the module's top.

// digests are the names of the algorithms for passwords, which clients of
// protocol 32 insist on reading although none is asked for.
const digests = "sha512 sha256 sha1 md5 md4"

// Bounds of what a client sends in the opening, in bytes. That of --early-input
// is rsync's own.
const (
	maxOpeningLine = 1023
	maxEarlyInput  = 5 << 10
)

// openDaemon lets the client choose its module and reads its arguments. When
// it only wants the list of modules, that is all: s.onlyListed is set.
func (s *session) openDaemon() (*argv.Refusal, error) {
	if err := s.say("@RSYNCD: %d.0 %s\n", wire.MaxVersion, digests); err != nil {
		return nil, err
	}
	if err := s.readGreeting(); err != nil {
		return nil, err
	}
	module, err := s.readModule()
	if err != nil {
		return nil, err
	}
	switch {
	case module == "" || module == "#list":
		s.onlyListed = true
		return nil, s.listModules()
	case module[0] == '#':
		return nil, &startError{"Unknown command '" + argv.Printable(module) + "'"}
	case module != s.Module:
		return nil, &startError{"Unknown module '" + argv.Printable(module) + "'"}
	}
	s.res.Module, s.where = module, " (in "+module+")"
	if err := s.say("@RSYNCD: OK\n"); err != nil {
		return nil, err
	}
	refusal, err := s.pull.ReadDaemon(s.r, s.v, module, s.decodeArgument)
	if refusal != nil && !s.v.ErrorExit() {
		// Such a client cannot be told an exit status in the session.
		return nil, refusal
	}
	return refusal, err
}

func (s *session) say(format string, args ...any) error {
	_, err := fmt.Fprintf(s.Stdout, format, args...)
	return err
}

// line reads a line of the opening; stock servers accept CR LF too.
func (s *session) line(what string) (string, error) {
	line := s.r.Line(what, maxOpeningLine)
	return strings.TrimRight(string(line), "\r"), s.r.Err()
}

// readGreeting takes the protocol version from the client's first line.
func (s *session) readGreeting() error {
	line, err := s.line("greeting")
	if err != nil {
		return err
	}
	if s.v, err = parseGreeting(line); err != nil {
		return err
	}
	s.res.Protocol = int(s.v)
	return nil
}

// parseGreeting returns the version that both sides speak. A pre-release of
// rsync, which says N.1 or higher, may speak protocol N in another way.
func parseGreeting(line string) (wire.Version, error) {
	rest, ok := strings.CutPrefix(line, "@RSYNCD: ")
	version, names, _ := strings.Cut(rest, " ")
	number, sub, hasSub := strings.Cut(version, ".")
	n, err := strconv.ParseUint(number, 10, 16)
	switch theirs := wire.Version(n); {
	case !ok || err != nil:
		return 0, &startError{"protocol startup error"}
	case theirs < wire.MinVersion:
		return 0, &startError{fmt.Sprintf("protocol version %d is too old, it must be at least %d", n, wire.MinVersion)}
	case theirs.Varints() && !hasSub:
		return 0, &startError{"your client omitted the subprotocol value: " + argv.Printable(line)}
	case theirs >= wire.MaxVersion && names == "":
		return 0, &startError{"your client omitted the digest name list: " + argv.Printable(line)}
	case theirs <= wire.MaxVersion && strings.Trim(sub, "0") != "":
		return max(theirs-1, wire.MinVersion), nil
	default:
		return min(theirs, wire.MaxVersion), nil
	}
}

// readModule reads what the client asks for. The --early-input before it is
// meant for a program that a daemon would run, and dropped.
func (s *session) readModule() (string, error) {
	line, err := s.line("module name")
	size, early := strings.CutPrefix(line, "#early_input=")
	if err != nil || !early {
		return line, err
	}
	n, err := strconv.ParseUint(size, 10, 16)
	if err != nil || n == 0 || n > maxEarlyInput {
		return "", &startError{"invalid early_input length"}
	}
	s.r.Skip(int64(n))
	return s.line("module name")
}

// listModules answers with the modules that the client may see, name and
// comment, of which there is none.
func (s *session) listModules() error {
	list := ""
	if s.Module != "" {
		list = fmt.Sprintf("%-15s\t\n", s.Module)
	}
	_, err := io.WriteString(s.Stdout, list+"@RSYNCD: EXIT\n")
	return err
}
