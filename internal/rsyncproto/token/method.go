package token

import (
	"fmt"
	"math"
	"strings"
)

// Method is how the tokens of a session are compressed.
type Method uint8

// The methods of rsync 3.5.0.
const (
	None  Method = iota // CPRES_NONE: plain tokens
	Zlib                // CPRES_ZLIB: matched blocks are part of the history
	Zlibx               // CPRES_ZLIBX: matched blocks are not
	Zstd                // CPRES_ZSTD
	LZ4                 // CPRES_LZ4
)

var methodNames = [...]string{None: "none", Zlib: "zlib", Zlibx: "zlibx", Zstd: "zstd", LZ4: "lz4"}

// ServerList is what the server offers when methods are negotiated (protocol
// section 3.4).
const ServerList = "zstd lz4 zlibx zlib none"

// String returns the method's name on the wire.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

// ParseMethod finds a method by its name; case does not matter. ok is false
// for a name that is not known.
func ParseMethod(name string) (m Method, ok bool) {
	for i, n := range methodNames {
		if strings.EqualFold(name, n) {
			return Method(i), true
		}
	}
	return None, false
}

// Negotiate returns the first method of the client's list, names with spaces
// between, that this server has. ok is false when there is none: the client
// then ends the session by itself.
func Negotiate(clientList string) (m Method, ok bool) {
	for name := range strings.FieldsSeq(clientList) {
		if m, ok := ParseMethod(name); ok {
			return m, true
		}
	}
	return None, false
}

// DefaultLevel stands for the level of a client that did not name one.
const DefaultLevel = math.MinInt // CLVL_NOT_SPECIFIED

// Level returns the level in effect when the client asks for n (protocol
// section 5.6). Level 0 of Zlib and Zlibx means that tokens are plain; None and
// LZ4 have no levels, for them it is always 0.
func (m Method) Level(n int) int {
	switch m {
	case Zlib, Zlibx:
		switch n {
		case DefaultLevel, -1:
			return 6
		case 0:
			return 0
		}
		return max(1, min(n, 9))
	case Zstd:
		if n == DefaultLevel || n == 0 {
			return 3
		}
		return max(-131072, min(n, 22))
	}
	return 0
}
