// Package wire is the lowest layer of the rsync protocol: integers, strings,
// file-list indexes and the frames that multiplex messages with data.
//
// [Reader] and [Writer] are sticky: after the first error every read yields
// zero and every write is dropped, so that a message can be read or written in
// wire order and checked once with Err. A number of the peer is read with its
// name and bounds; there is no way to read one without.
package wire

// Version is the negotiated protocol version. Code asks it questions instead
// of comparing numbers.
type Version int

// Protocol versions this server speaks.
const (
	MinVersion Version = 27
	MaxVersion Version = 32
)

// Varints reports whether numbers are varints and varlongs, indexes are delta
// coded, the client's stream is multiplexed and compat flags are exchanged.
func (v Version) Varints() bool { return v >= 30 }

// NULArgs reports whether the arguments that follow a daemon's greeting end
// with NUL (before: with LF).
func (v Version) NULArgs() bool { return v >= 30 }

// Items reports whether a request carries item flags and the session has a
// third phase.
func (v Version) Items() bool { return v >= 29 }

// SortsDirsLast reports whether the file list is ordered by component with
// non-directories first (before: plain byte order of the names).
func (v Version) SortsDirsLast() bool { return v >= 29 }

// ModernFilters reports whether filter rules carry prefixes and modifiers.
func (v Version) ModernFilters() bool { return v >= 29 }

// ExtendedFlags reports whether file-list flags may take a second byte.
func (v Version) ExtendedFlags() bool { return v >= 28 }

// FramedNames reports whether --files-from names travel inside frames.
func (v Version) FramedNames() bool { return v >= 31 }

// Nsec reports whether modification times carry nanoseconds.
func (v Version) Nsec() bool { return v >= 31 }

// SpecialRdev reports whether FIFOs and sockets carry a device number.
func (v Version) SpecialRdev() bool { return v <= 30 }

// DelStats reports whether deletion statistics and a two-step goodbye exist.
func (v Version) DelStats() bool { return v >= 31 }

// ErrorExit reports whether MSG_ERROR_EXIT may be sent.
func (v Version) ErrorExit() bool { return v >= 31 }

// SafeFlist reports whether the end of a file list always can carry an error.
func (v Version) SafeFlist() bool { return v >= 31 }

// BuildTimes reports whether the statistics carry the file-list times.
func (v Version) BuildTimes() bool { return v >= 29 }

// Attributes reports whether there are fields for ACLs and extended attributes.
func (v Version) Attributes() bool { return v >= 30 }

// XattrShortcut reports whether clients which do not offer the capability "x"
// ask for no attributes with the further links of a file.
func (v Version) XattrShortcut() bool { return v >= 31 }
