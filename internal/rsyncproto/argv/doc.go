// Package argv turns the command line of an SSH exec request into a [Pull],
// the description of what a stock rsync client asks a sender for.
//
// A command is never executed. [Parse] splits it as a POSIX shell would,
// finds the server invocation of rsync in it and looks every option up in one
// table (see [Options]): it is honoured, accepted because only the receiver
// cares, or refused with a [Refusal] that names it. A Pull has no field for an
// option that writes, and there is no receiving mode.
//
// The order of calls for a session is Parse, then [Pull.ReadDaemon] when
// Pull.Daemon is set or [Pull.ReadSecluded] when Pull.Secluded is, then
// [Pull.Expand].
package argv

// Limits of what a client may ask for, each refused with CodeLimit or
// CodePath when it is exceeded.
const (
	MaxCommand  = 256 << 10 // bytes of the command line
	MaxWords    = 1000      // words of the command line before expansion
	MaxArgs     = 100000    // arguments after expansion, and secluded strings
	MaxArg      = 4095      // bytes of one argument (PATH_MAX without its NUL)
	maxSecluded = 4 << 20   // bytes of all secluded strings with their NULs
	maxExpanded = 32 << 20  // bytes of all arguments after expansion
	maxEntries  = 10 << 20  // directory entries compared with wildcards
	maxNesting  = 100       // braces within braces
)
