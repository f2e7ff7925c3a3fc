package sshsrv

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
)

// AddressList says from where a key may be used (sshd(8), from="..."): at least
// one pattern has to match, and none of the negated ones may. The nil list
// allows every address.
type AddressList []addressPattern

// addressPattern is a network, or a pattern with * and ? over the address as it
// is printed.
type addressPattern struct {
	text    string // as it was written, in lower case
	negated bool
	network netip.Prefix // invalid for a pattern
	pattern string
}

// addressPatterns are patterns that only an address can match. Any other would
// be for a host name.
var addressPatterns = regexp.MustCompile(`^([0-9.*?]+|[0-9a-f:.*?]*:[0-9a-f:.*?]*)$`)

// maxAddressPatterns bounds the patterns of one list.
const maxAddressPatterns = 1000

// ParseAddressList reads patterns separated by commas. Host names are refused, since
// none are looked up: as a pattern that never matches, a negated one would let
// in whom it should keep out.
func ParseAddressList(text string) (AddressList, error) {
	var list AddressList
	for item := range strings.SplitSeq(text, ",") {
		p, err := parseAddressPattern(strings.ToLower(strings.TrimSpace(item)))
		if err != nil {
			return nil, err
		}
		if list = append(list, p); len(list) > maxAddressPatterns {
			return nil, fmt.Errorf("more than %d patterns", maxAddressPatterns)
		}
	}
	return list, nil
}

func parseAddressPattern(item string) (p addressPattern, err error) {
	p.text = item
	item, p.negated = strings.CutPrefix(item, "!")
	switch {
	case item == "":
		return p, errors.New("an empty pattern")
	case strings.Contains(item, "/"):
		p.network, err = netip.ParsePrefix(item)
		if err != nil || p.network != p.network.Masked() {
			return p, fmt.Errorf("%q is not a network; allowed is ADDRESS/BITS without bits behind the first BITS", item)
		}
		p.network = unmapNetwork(p.network)
	case addressPatterns.MatchString(item):
		if addr, err := netip.ParseAddr(item); err == nil {
			addr = addr.Unmap()
			p.network = netip.PrefixFrom(addr, addr.BitLen())
		}
		p.pattern = item
		if v4, ok := strings.CutPrefix(item, mappedPrefix); ok && strings.Contains(v4, ".") {
			p.pattern = v4
		}
	default:
		return p, fmt.Errorf("%q is not an address; host names are not looked up", item)
	}
	return p, nil
}

// String returns the patterns in the form that ParseAddressList reads.
func (l AddressList) String() string {
	var items []string
	for _, p := range l {
		items = append(items, p.text)
	}
	return strings.Join(items, ",")
}

// mappedPrefix is how an IPv4 address begins as IPv6 carries it.
const mappedPrefix = "::ffff:"

// unmapNetwork is a network with IPv4 as such. Peers are compared as such, so that a
// network in the other form would match none of them, and a negated one not keep
// out whom it should.
func unmapNetwork(n netip.Prefix) netip.Prefix {
	if mapped := 128 - 32; n.Addr().Is4In6() && n.Bits() >= mapped {
		return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-mapped)
	}
	return n
}

// Allows reports whether a peer at addr may use the key. The zero addr, of a peer
// without an address, is only in the nil list.
func (l AddressList) Allows(addr netip.Addr) bool {
	if l == nil {
		return true
	}
	if !addr.IsValid() {
		return false
	}
	addr = addr.Unmap().WithZone("")
	allowed := false
	for _, p := range l {
		if p.matches(addr) {
			if p.negated {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

func (p *addressPattern) matches(addr netip.Addr) bool {
	if p.network.IsValid() {
		return p.network.Contains(addr)
	}
	// The alphabet of a pattern leaves path.Match nothing but * and ?.
	ok, err := path.Match(p.pattern, addr.String())
	return ok && err == nil
}
