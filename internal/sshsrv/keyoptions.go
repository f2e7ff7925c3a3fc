package sshsrv

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// harmless are the options of sshd(8) that need no code: they take away, or give
// back after "restrict", what this server does not have.
var harmless = map[string]bool{
	"restrict":            true,
	"agent-forwarding":    true,
	"no-agent-forwarding": true,
	"port-forwarding":     true,
	"no-port-forwarding":  true,
	"permitlisten":        true,
	"permitopen":          true,
	"pty":                 true,
	"no-pty":              true,
	"tunnel":              true,
	"user-rc":             true,
	"no-user-rc":          true,
	"x11-forwarding":      true,
	"no-x11-forwarding":   true,
	"no-touch-required":   false, // would lift what x/crypto demands of sk keys
	"verify-required":     false, // x/crypto does not look at that flag
	"environment":         false, // there is no environment to set
}

// setOption stores one option of a key's line, such as from="10.0.0.0/8". Names
// are compared without case. The messages do not repeat values, which may be
// secret.
func (k *AuthorizedKey) setOption(option string) error {
	name, value, hasValue := strings.Cut(option, "=")
	name = strings.ToLower(name)
	if hasValue {
		var ok bool
		if value, ok = unquote(value); !ok {
			return fmt.Errorf("option %q: its value must stand in double quotes", name)
		}
	}
	if k.given(name) {
		return fmt.Errorf("option %q is given twice", name)
	}
	var err error
	switch name {
	case "cert-authority":
		k.authority = true
	case "principals":
		k.principals, err = parsePrincipals(value)
	case "command":
		k.Command, err = value, notEmpty(value)
	case "from":
		var list AddressList
		list, err = ParseAddressList(value)
		k.From(list)
	case "expiry-time":
		k.expires, err = parseExpiry(value)
	default:
		if !harmless[name] {
			return fmt.Errorf("option %q is not supported", name)
		}
	}
	if err != nil {
		return fmt.Errorf("option %q: %w", name, err)
	}
	return nil
}

// given reports whether an option with a value has one by now. sshd, too, refuses a
// second one, or takes the stricter.
func (k *AuthorizedKey) given(name string) bool {
	switch name {
	case "principals":
		return k.principals != nil
	case "command":
		return k.Command != ""
	case "from":
		return k.from != nil
	case "expiry-time":
		return !k.expires.IsZero()
	}
	return false
}

// unquote takes the double quotes off a value, in which \" stands for a quote
// and every other backslash for itself.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`), true
}

func notEmpty(value string) error {
	if strings.TrimSpace(value) == "" {
		return errors.New("it has no value")
	}
	return nil
}

func parsePrincipals(value string) ([]string, error) {
	var all []string
	for name := range strings.SplitSeq(value, ",") {
		if name != "" {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it has no value")
	}
	return all, nil
}

// expiryLayouts are the forms of a time, by their length: YYYYMMDD,
// YYYYMMDDHHMM and YYYYMMDDHHMMSS.
var expiryLayouts = map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}

// parseExpiry reads a time in the server's time zone, or in UTC when a Z stands
// behind it.
func parseExpiry(value string) (time.Time, error) {
	digits, utc := strings.CutSuffix(value, "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(expiryLayouts[len(digits)], digits, zone)
	if err != nil || t.IsZero() {
		return time.Time{}, errors.New("not a time; allowed are YYYYMMDD, YYYYMMDDHHMM and YYYYMMDDHHMMSS, in UTC with a Z behind")
	}
	return t, nil
}
