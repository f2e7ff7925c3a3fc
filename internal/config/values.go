package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rrserve/internal/sshsrv"
)

func isGraphicOrBlank(r rune) bool { return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) }

func lastRune(s string) (rune, int) { return utf8.DecodeLastRuneInString(s) }

// Duration is a time such as "90s", "26h" or "2h30m"; more than none. Like Rate it
// is a struct, so that a number in the file also comes to UnmarshalText, and not
// unseen into the field: 26 would be nanoseconds.
type Duration struct{ time.Duration }

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a time; allowed is more than nothing, such as 90s, 26h or 2h30m", text)
	}
	d.Duration = v
	return nil
}

// Rate is a speed in bytes per second: "500k", "20M", "1.5G", in units of 1024 as
// with rsync's --bwlimit; a number alone is in units of 1024 bytes.
type Rate struct{ bytes int64 }

// maxRate is the largest Rate in bytes, a tebibyte a second.
const maxRate = 1 << 40

// UnmarshalText reads it.
func (r *Rate) UnmarshalText(text []byte) error {
	number, unit := strings.TrimRight(string(text), "kKmMgG"), float64(1<<10)
	if suffix := strings.ToLower(string(text[len(number):])); len(suffix) == 1 {
		unit = math.Pow(1024, float64(strings.Index("kmg", suffix)+1))
	} else if suffix != "" {
		number = ""
	}
	v, err := strconv.ParseFloat(number, 64)
	if bytes := v * unit; err != nil || !(bytes >= 1024 && bytes <= maxRate) {
		return fmt.Errorf("%q is not a speed; allowed are 1k to 1024G bytes a second, such as 500k, 20M or 1.5G", text)
	}
	r.bytes = int64(v * unit)
	return nil
}

// KiB is the rate in KiB per second, as rsync counts.
func (r Rate) KiB() int64 { return r.bytes >> 10 }

// Hours is a span of the day in the server's time zone, "22:00-06:00". It ends
// before its second time, and goes over midnight when that is the smaller one.
type Hours struct{ from, to int } // minutes since midnight

// UnmarshalText reads it.
func (h *Hours) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "-")
	var err1, err2 error
	h.from, err1 = minutes(from)
	h.to, err2 = minutes(to)
	if !ok || err1 != nil || err2 != nil || h.from == h.to {
		return fmt.Errorf("%q is not a span of the day; allowed is HH:MM-HH:MM", text)
	}
	return nil
}

func minutes(text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, errors.New("not a time of day")
	}
	return t.Hour()*60 + t.Minute(), nil
}

// String is the form that UnmarshalText reads.
func (h Hours) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", h.from/60, h.from%60, h.to/60, h.to%60)
}

// Includes reports whether t lies in the span.
func (h Hours) Includes(t time.Time) bool {
	m := t.Hour()*60 + t.Minute()
	if h.from < h.to {
		return h.from <= m && m < h.to
	}
	return m >= h.from || m < h.to
}

// Addresses are those that the client may log in from.
func (c *Client) Addresses() sshsrv.AddressList { return c.from }

// Allowed reports whether a pull of the client may begin at t.
func (c *Client) Allowed(t time.Time) bool {
	for _, h := range c.Hours {
		if h.Includes(t) {
			return true
		}
	}
	return len(c.Hours) == 0
}
