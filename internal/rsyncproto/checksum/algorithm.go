package checksum

import (
	"errors"
	"strings"

	"rrserve/internal/rsyncproto/wire"
)

// Algorithm is a checksum by the name the protocol gives it. The zero value is
// none of them.
type Algorithm uint8

// The algorithms. MD4 and MD4Auto hash alike and take the seed differently.
const (
	XXH128  Algorithm = iota + 1
	XXH3              // the 64-bit variant
	XXH64             // also called xxhash
	MD5               //
	MD4               // chosen by name
	SHA1              //
	None              // no checksum: one zero byte in the place of a sum
	MD4Auto           // what protocols 27 to 29 imply
)

// ServerList is what the server offers in the negotiation, best first. A
// client picks by its own order.
const ServerList = "xxh128 xxh3 xxh64 md5 md4 sha1 none"

// MaxSize is the largest Size of any algorithm.
const MaxSize = 20

var names = [...]string{
	XXH128: "xxh128", XXH3: "xxh3", XXH64: "xxh64", MD5: "md5",
	MD4: "md4", SHA1: "sha1", None: "none", MD4Auto: "md4",
}

var sizes = [...]int{
	XXH128: 16, XXH3: 8, XXH64: 8, MD5: 16,
	MD4: 16, SHA1: 20, None: 1, MD4Auto: 16,
}

// Name returns the name as negotiated, in lower case; MD4Auto is "md4".
func (a Algorithm) Name() string { return names[a] }

// Size returns the length in bytes of a file's or list sum on the wire.
func (a Algorithm) Size() int { return sizes[a] }

// Parse returns the algorithm of a name in either case; "xxhash" is XXH64.
func Parse(name string) (Algorithm, bool) {
	name = strings.ToLower(name)
	if name == "xxhash" {
		return XXH64, true
	}
	for a := XXH128; a <= None; a++ {
		if names[a] == name {
			return a, true
		}
	}
	return 0, false
}

// Negotiate returns the first name of the client's list, separated by spaces,
// that the server offers: the client reaches the same result by looking for
// its first preference in ServerList. rsync 3.5.0 as a server takes its own
// first preference, which breaks clients with an order of their own.
func Negotiate(clientList string) (Algorithm, bool) {
	for name := range strings.FieldsSeq(clientList) {
		if a, ok := Parse(name); ok {
			return a, true
		}
	}
	return 0, false
}

// Implied returns the algorithm of a session that neither negotiated nor chose
// one.
func Implied(v wire.Version) Algorithm {
	if v.Varints() {
		return MD5
	}
	return MD4Auto
}

// Choice is what a session uses.
type Choice struct {
	Transfer Algorithm // file and block sums
	List     Algorithm // list sums of --checksum
}

// ParseChoice parses the value of --checksum-choice: NAME, or NAME,NAME for
// the transfer and for the list. "auto" is what v implies. The error's text is
// the one rsync users know; it ends a session with exit code 4.
func ParseChoice(value string, v wire.Version) (Choice, error) {
	transfer, list, pair := strings.Cut(value, ",")
	if !pair {
		list = transfer
	}
	var c Choice
	var err error
	if c.Transfer, err = chosen(transfer, v); err != nil {
		return Choice{}, err
	}
	if c.List, err = chosen(list, v); err != nil {
		return Choice{}, err
	}
	return c, nil
}

func chosen(name string, v wire.Version) (Algorithm, error) {
	if strings.EqualFold(name, "auto") {
		return Implied(v), nil
	}
	if a, ok := Parse(name); ok {
		return a, nil
	}
	return 0, errors.New("unknown checksum name: " + name)
}
