package argv

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"rrserve/internal/rsyncproto/wire"
)

// setter stores an option in a Pull. Its error says what is wrong with the
// value; it is a *Refusal when it needs more than the usual form.
type setter func(p *Pull, value string) error

func on(field func(*Pull) *bool) setter {
	return func(p *Pull, _ string) error { *field(p) = true; return nil }
}

func off(field func(*Pull) *bool) setter {
	return func(p *Pull, _ string) error { *field(p) = false; return nil }
}

// count counts how often an option is given, up to the last that makes a
// difference.
func count(last int, field func(*Pull) *int) setter {
	return func(p *Pull, _ string) error { *field(p) = min(*field(p)+1, last); return nil }
}

func zero(field func(*Pull) *int) setter {
	return func(p *Pull, _ string) error { *field(p) = 0; return nil }
}

func choose(c choice, field func(*Pull) *choice) setter {
	return func(p *Pull, _ string) error { *field(p) = c; return nil }
}

// algorithm stores the name of an algorithm; "auto" leaves it open, as in
// rsync.
func algorithm(field func(*Pull) *string) setter {
	return func(p *Pull, value string) error {
		if strings.EqualFold(value, "auto") || strings.EqualFold(value, "auto,auto") {
			value = ""
		}
		*field(p) = value
		return nil
	}
}

var errNumber = errors.New("invalid numeric value")

// number parses a decimal number in lo..hi.
func number(value string, lo, hi int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < lo || n > hi {
		return 0, errNumber
	}
	return n, nil
}

func setTimeout(p *Pull, value string) error {
	n, err := number(value, 0, math.MaxInt32)
	p.Timeout = int(n)
	return err
}

func clearTimeout(p *Pull, _ string) error { p.Timeout = 0; return nil }

func setBWLimit(p *Pull, value string) (err error) {
	p.BWLimit, err = number(value, 0, math.MaxInt32)
	return err
}

func clearBWLimit(p *Pull, _ string) error { p.BWLimit = 0; return nil }

func setChecksumSeed(p *Pull, value string) error {
	n, err := number(value, math.MinInt32, math.MaxInt32)
	p.ChecksumSeed = int32(n)
	return err
}

func setCompressLevel(p *Pull, value string) error {
	n, err := number(value, math.MinInt32, math.MaxInt32)
	p.CompressLevel, p.CompressLevelGiven = int32(n), true
	return err
}

func setSkipCompress(p *Pull, value string) error {
	p.SkipCompress = strings.FieldsFunc(value, func(r rune) bool { return r == '/' })
	return nil
}

func setAppendVerify(p *Pull, _ string) error { p.Append = 2; return nil }

func clearIconv(p *Pull, _ string) error { p.Iconv = ""; return nil }

func setSpecialFiles(value bool) setter {
	return func(p *Pull, _ string) error {
		p.Devices, p.Specials = value, value
		return nil
	}
}

func setFilesFrom(p *Pull, value string) error {
	if value == "" {
		return errors.New("a file name is missing")
	}
	p.FilesFrom, p.FilesFromPath = true, value
	if value == "-" {
		p.FilesFromPath = ""
	}
	return nil
}

// setIconv takes the server's part of LOCAL,REMOTE, which clients send without
// the comma; "-" means no conversion.
func setIconv(p *Pull, value string) error {
	_, remote, found := strings.Cut(value, ",")
	switch {
	case value == "-":
		p.Iconv = ""
	case found && remote != "":
		p.Iconv = remote
	case found || value == "":
		p.Iconv = "."
	default:
		p.Iconv = value
	}
	return nil
}

func setProtocol(p *Pull, value string) error {
	n, err := number(value, 0, math.MaxInt32)
	if err != nil {
		return err
	}
	return p.capProtocol(n)
}

// capProtocol lowers the version to offer. Versions above ours are no cap.
func (p *Pull) capProtocol(n int64) error {
	if n < int64(wire.MinVersion) {
		return &Refusal{statusProtocol, CodeOption, fmt.Sprintf(
			"--protocol must be at least %d on the Server. [%s]\n"+
				"rsync error: protocol incompatibility (code 2) [server=rrserve]\n",
			wire.MinVersion, CodeOption)}
	}
	n = min(n, int64(wire.MaxVersion))
	if p.Protocol == 0 || int(n) < p.Protocol {
		p.Protocol = int(n)
	}
	return nil
}

// setCaps reads the value of -e: the version of a pre-release as N.M (released
// clients send a bare dot), then the capability letters. Anything else would
// be the name of a remote shell.
func setCaps(p *Pull, value string) error {
	version, rest, found := strings.Cut(value, ".")
	letters := strings.TrimLeft(rest, "0123456789")
	if !found || len(value) > 64 || strings.Trim(version, "0123456789") != "" ||
		strings.ContainsFunc(letters, func(r rune) bool { return r < 'A' || r > 'z' || r > 'Z' && r < 'a' }) {
		return errors.New("refused: this server runs no programs")
	}
	p.Caps = Caps(letters)
	return p.capPreRelease(version, strings.TrimSuffix(rest, letters))
}

// capPreRelease stays below the protocol version that a pre-release client of
// our generation or an older one may speak differently.
func (p *Pull) capPreRelease(version, sub string) error {
	n, err := number(version, 1, int64(wire.MaxVersion))
	if m, _ := number(sub, 0, math.MaxInt32); err != nil || m == 0 {
		return nil
	}
	return p.capProtocol(n - 1)
}
