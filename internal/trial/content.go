package trial

import (
	"encoding/binary"
	"fmt"
)

// Flags of an entry of the list of files, at protocol 27.
const (
	sameMode = 1 << 1
	sameName = 1 << 5
	longName = 1 << 6
	sameTime = 1 << 7
)

// What a server sends has no reason to be longer, in bytes.
const (
	maxListedName = 4096
	maxToken      = 1 << 20 // rsync's are 32 KiB
)

// Sizes of what the content goes on with, in bytes.
const (
	sumHead    = 16
	wholeSum   = 16
	endOfPhase = -1 // in place of the number of a file
	phases     = 2
)

// content follows the data of a pull with -r alone at protocol 27, and finds what
// the client would not survive: a file that is not in the list, and a block of a
// copy that it does not have. The zero content is at the beginning.
type content struct {
	begun  bool
	got    []byte // what next wants to see
	want   int    // bytes of it, or to be skipped
	skip   bool
	next   func([]byte) error // nil at the end
	files  int32              // in the list
	sent   int                // files whose data began
	flags  byte               // of the entry that is read
	phases int                // that have ended
}

// follow takes the next piece of the data.
func (c *content) follow(b []byte) error {
	if !c.begun {
		c.begun = true
		c.see(1, c.entry)
	}
	for c.next != nil && (c.want == 0 || len(b) > 0) {
		n := min(c.want, len(b))
		if !c.skip {
			c.got = append(c.got, b[:n]...)
		}
		c.want, b = c.want-n, b[n:]
		if c.want > 0 {
			return nil
		}
		if err := c.next(c.got); err != nil {
			return err
		}
	}
	return nil
}

// see gives the next n bytes to then.
func (c *content) see(n int, then func([]byte) error) {
	c.got, c.want, c.skip, c.next = c.got[:0], n, false, then
}

// pass skips n bytes and gives the size bytes behind them to then.
func (c *content) pass(n, size int, then func([]byte) error) {
	c.want, c.skip, c.next = n, true, func([]byte) error { c.see(size, then); return nil }
}

func (c *content) entry(b []byte) error {
	c.flags = b[0]
	same, length := 0, 1
	switch {
	case c.flags == 0:
		c.pass(4, 4, c.number) // the error flag
		return nil
	case c.flags&sameName != 0:
		same = 1
	}
	if c.flags&longName != 0 {
		length = 4
	}
	c.files++
	c.pass(same, length, c.name)
	return nil
}

func (c *content) name(b []byte) error {
	length := uint32(b[0])
	if len(b) == 4 {
		length = binary.LittleEndian.Uint32(b)
	}
	if length > maxListedName {
		return fmt.Errorf("the server sent a name of %d bytes; allowed are %d", length, maxListedName)
	}
	c.pass(int(length), 4, c.size)
	return nil
}

func (c *content) size(b []byte) error {
	rest := 0
	if int32(binary.LittleEndian.Uint32(b)) == -1 { // more than 31 bits
		rest = 8
	}
	if c.flags&sameTime == 0 {
		rest += 4
	}
	if c.flags&sameMode == 0 {
		rest += 4
	}
	c.pass(rest, 1, c.entry)
	return nil
}

// number is of the file whose data follow.
func (c *content) number(b []byte) error {
	switch n := int32(binary.LittleEndian.Uint32(b)); {
	case n == endOfPhase:
		if c.phases++; c.phases == phases {
			c.next = nil
			return nil
		}
		c.see(4, c.number)
	case n < 0 || n >= c.files:
		return fmt.Errorf("the server sent file number %d; allowed are those of the list, which has %d", n, c.files)
	default:
		c.sent++
		c.pass(sumHead, 4, c.token)
	}
	return nil
}

// token is the length of the data that follow, or 0 before the file's sum.
func (c *content) token(b []byte) error {
	switch n := int32(binary.LittleEndian.Uint32(b)); {
	case n < 0 || n > maxToken:
		return fmt.Errorf("the server sent data of length %d; allowed are 0 to %d bytes", n, maxToken)
	case n == 0:
		c.pass(wholeSum, 4, c.number)
	default:
		c.pass(int(n), 4, c.token)
	}
	return nil
}
