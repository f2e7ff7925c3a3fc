package test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// normalizer removes from a client's output what may differ between two
// correct servers:
//
//   - names of the served directory: rsync knows where the directory is,
//     rrserve's paths are virtual, so "/tmp/x/src/a" is "/a" and "/tmp/x/src" is "/"
//   - the slash in front of a name in a module: a daemon leaves it out when it
//     speaks of the top
//   - names of the destination, which is another one each time
//   - byte counts of the connection, times, speeds: compression and buffering
//     are the server's own business
//   - how many of the sent bytes were literal, see stdout
//   - what the server says about its own work at -vv: growing tables, the
//     character set, statistics of the search
//   - which process speaks and the line of its source: "[sender] ",
//     "at main.c(1865)"
//   - a client's complaint that the other end is gone already, which it makes
//     or not while it ends itself
//   - how a client finds out that the connection is closed: by writing or by
//     reading, whichever it does next
//   - last words of a client's receiver when its generator gave up: killed or
//     cut off, whichever comes first
//   - last words of a server whose client went away, which may be too late for
//     anybody to hear
//   - a server's complaint about the protocol version, which the client has made
//     itself and does not always wait for
//   - the place of "cannot delete non-empty directory" among other lines, and
//     the order of standard error, which two processes write
type normalizer struct {
	src, work, aux string
}

func (n normalizer) paths(s string) string {
	return strings.NewReplacer(
		n.work+"/dst", "DST", n.work, "WORK", n.aux, "AUX",
		n.src+"/", "/", n.src, "/", strings.TrimPrefix(n.src, "/")+"/", "",
	).Replace(s)
}

var (
	sentLine     = regexp.MustCompile(`(?m)^(?:sent|wrote) .* bytes  (?:received|read) .* bytes  .*bytes/sec$`)
	speedup      = regexp.MustCompile(`speedup is [0-9.,KMG]+`)
	byteCounts   = regexp.MustCompile(`(?m)^(Total bytes (?:sent|received|written|read)|File list size|File list (?:generation|transfer) time): .*$`)
	progressLine = regexp.MustCompile(` +[0-9.,]+[kKMG]?B/s +[0-9]+:[0-9]{2}:[0-9]{2}`)
	// What a server says about its own work at -vv.
	serverVerbose = regexp.MustCompile(`(?m)^(?:\[(?:sender|server)\] )?(?:expand file_list pointer array .*|total: matches=.*|charset: .*)\n?`)
	sourceLine    = regexp.MustCompile(`at [a-z0-9_]+\.c\([0-9]+\)`)
	// The last line of a server, which names its source and version.
	lastServerLine = regexp.MustCompile(`(?m)^(rsync error: .*\))(?: at SOURCE)? \[(?:server|sender)=[^\]\n]*\]$`)
	openingLine    = regexp.MustCompile(`(?m)^(opening connection using:? ssh -F )\S+`)
	brokenPipe     = regexp.MustCompile(`(?m)^rsync: \[[a-zA-Z]+\] write error: Broken pipe \(32\)\n?`)
	// The one word for it becomes the other one.
	cannotWrite   = regexp.MustCompile(`(?m)^rsync: \[([a-zA-Z]+)\] safe_write failed to write [0-9]+ bytes to [a-z ]+: Broken pipe \(32\)$`)
	closedBytes   = regexp.MustCompile(`\([0-9]+ bytes received so far\)`)
	gaveUp        = regexp.MustCompile(`(?m)^rsync error: .* \[generator=`)
	lastWords     = regexp.MustCompile(`(?m)^rsync(?: error)?: (?:received SIGUSR1|connection unexpectedly closed|error in rsync protocol data stream) .*\[[Rr]eceiver(?:=[0-9.]+)?\]\n?`)
	needsProtocol = regexp.MustCompile(`^--[a-z]+ requires protocol [0-9]+ or higher`)
	inModule      = regexp.MustCompile(`"/?([^"]*)" \(in src\)`)
)

// stdout also returns the bytes that --stats calls matched, -1 without: two
// servers must account for the same bytes, and rrserve must find at least as
// much of them in the client's old file.
func (n normalizer) stdout(s string) (text string, matched int64) {
	s, matched = joinMatched(n.paths(s))
	s = sentLine.ReplaceAllString(s, "sent N bytes  received N bytes")
	s = speedup.ReplaceAllString(s, "speedup is N")
	s = byteCounts.ReplaceAllString(s, "$1: N")
	s = openingLine.ReplaceAllString(s, "$1")
	s = progressLine.ReplaceAllString(s, " RATE")
	s = lastLines(s, inTheWay)
	s = serverVerbose.ReplaceAllString(s, "")
	return n.messages(s), matched
}

// inTheWay is printed by the client's generator while its receiver prints what
// arrived.
var inTheWay = regexp.MustCompile(`(?m)^cannot delete non-empty directory: .*\n`)

// lastLines moves the lines that match to the end.
func lastLines(s string, re *regexp.Regexp) string {
	return re.ReplaceAllString(s, "") + strings.Join(re.FindAllString(s, -1), "")
}

var literalMatched = regexp.MustCompile(`Literal data: ([0-9,]+) bytes\nMatched data: ([0-9,]+) bytes`)

// joinMatched replaces the two lines of --stats by one with their sum.
func joinMatched(s string) (string, int64) {
	m := literalMatched.FindStringSubmatch(s)
	if m == nil {
		return s, -1
	}
	var n [2]int64
	for i := range n {
		n[i], _ = strconv.ParseInt(strings.ReplaceAll(m[i+1], ",", ""), 10, 64)
	}
	return literalMatched.ReplaceAllString(s, fmt.Sprintf("Literal and matched data: %d bytes", n[0]+n[1])), n[1]
}

func (n normalizer) stderr(s string) string {
	s = n.messages(n.paths(s))
	if gaveUp.MatchString(s) {
		s = lastWords.ReplaceAllString(s, "")
	}
	lines := slices.DeleteFunc(strings.Split(sortLines(s), "\n"), func(l string) bool { return slices.Contains(serverOnly, l) })
	lines = slices.CompactFunc(lines, func(a, b string) bool { return a == b && needsProtocol.MatchString(a) })
	return strings.Join(lines, "\n")
}

// serverOnly are lines, as they end up here, of a server that complains of what
// the client has complained of, or of the client's end.
var serverOnly = []string{
	"rsync error: protocol incompatibility (code 2)",
	"rsync: connection unexpectedly closed (N bytes received so far) [sender]",
	"rsync error: error in rsync protocol data stream (code 12)",
}

func (n normalizer) messages(s string) string {
	s = strings.ReplaceAll(s, "[sender] ", "")
	s = brokenPipe.ReplaceAllString(s, "")
	s = cannotWrite.ReplaceAllString(s, "rsync: connection unexpectedly closed (N bytes received so far) [$1]")
	s = sourceLine.ReplaceAllString(s, "at SOURCE")
	s = inModule.ReplaceAllString(s, `"/$1" (in src)`)
	s = lastServerLine.ReplaceAllString(s, "$1")
	return closedBytes.ReplaceAllString(s, "(N bytes received so far)")
}

func sortLines(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// diffLines reports the first places where two outputs differ.
func diffLines(what, want, got string) []string {
	if want == got {
		return nil
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	missing, surplus := subtract(w, g), subtract(g, w)
	if len(missing)+len(surplus) == 0 {
		for i := range w {
			if w[i] != g[i] {
				return []string{fmt.Sprintf("%s: same lines in another order, from line %d:\n  - %s\n  + %s", what, i+1, w[i], g[i])}
			}
		}
	}
	var out []string
	for _, l := range first(missing, 15) {
		out = append(out, what+": - "+l)
	}
	for _, l := range first(surplus, 15) {
		out = append(out, what+": + "+l)
	}
	return out
}

// subtract returns the lines of a that b lacks, counting repetitions.
func subtract(a, b []string) []string {
	count := make(map[string]int)
	for _, l := range b {
		count[l]++
	}
	var out []string
	for _, l := range a {
		if count[l]--; count[l] < 0 {
			out = append(out, l)
		}
	}
	return out
}
