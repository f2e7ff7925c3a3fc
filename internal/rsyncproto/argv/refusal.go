package argv

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code is the stable name of a kind of refusal, for logs and for searching.
type Code string

// Codes of a Refusal.
const (
	CodeReadOnly Code = "E-RO"      // the client wants to write
	CodeOption   Code = "E-OPTION"  // an option that is not served, or its value
	CodeQuote    Code = "E-QUOTE"   // shell syntax that is not interpreted
	CodePath     Code = "E-PATH"    // an argument that cannot name anything here
	CodeCommand  Code = "E-COMMAND" // not an rsync server command line
	CodeDaemon   Code = "E-DAEMON"  // an unknown module, or not the daemon protocol
	CodeLimit    Code = "E-LIMIT"   // larger than one of the limits
)

// Exit statuses of a Refusal, as in rsync's errcode.h.
const (
	statusSyntax   = 1   // RERR_SYNTAX
	statusProtocol = 2   // RERR_PROTOCOL
	statusNoRsync  = 127 // a shell's "command not found"
)

// Refusal is the answer to a command line that is not served.
type Refusal struct {
	Status int    // exit status of the channel, 1..127
	Code   Code   // also part of Text
	Text   string // complete lines for stderr, printable, each ended by LF
}

// Error returns the first line of the text.
func (r *Refusal) Error() string {
	line, _, _ := strings.Cut(r.Text, "\n")
	return line
}

// refuse makes the one-line refusal of a command that is not rsync's syntax.
func refuse(status int, code Code, format string, args ...any) *Refusal {
	return &Refusal{status, code, fmt.Sprintf("rrserve: %s [%s]\n", fmt.Sprintf(format, args...), code)}
}

// refuseOption makes the refusal of one option in the form in which rsync
// reports it, so that users and scripts recognize it.
func refuseOption(option, why string) *Refusal {
	return &Refusal{statusSyntax, CodeOption, fmt.Sprintf(
		"rsync: on remote machine: %s: %s [%s]\n"+
			"rsync error: syntax or usage error (code 1) [server=rrserve]\n",
		Printable(option), why, CodeOption)}
}

// RefuseXattrs returns the refusal of a pull that asks for what a server without
// extended attributes does not have, nil for any other.
func (p *Pull) RefuseXattrs() error {
	const why = "refused: extended attributes are not read on the server's system"
	switch {
	case p.ACLs:
		return refuseOption("-A", why)
	case p.Xattrs > 0:
		return refuseOption("-X", why)
	case p.FakeSuper:
		return refuseOption("--fake-super", why)
	}
	return nil
}

// RefuseBtimes is RefuseXattrs for a server without times of creation.
func (p *Pull) RefuseBtimes() error {
	if p.CRTimes {
		return refuseOption("-N", "refused: creation times are not read on the server's system")
	}
	return nil
}

// Printable makes text of the peer fit for a terminal and a log: at most 200
// bytes, unprintable ones as rsync escapes them (\#ooo).
func Printable(s string) string {
	const limit = 200
	var b strings.Builder
	for i := 0; i < len(s); {
		if b.Len() >= limit {
			b.WriteString("...")
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\#%03o`, c)
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
