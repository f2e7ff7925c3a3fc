package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rrserve/internal/rrtest"
)

// raceWorkers is how many clients pull at a time.
const raceWorkers = 4

// racePulls are the command lines of TestRaces.
var racePulls = [][]string{
	{"-a", "rr:"},
	{"-aL", "rr:"},
	{"-ak", "rr:"},
	{"-a", "--copy-unsafe-links", "rr:"},
	{"-aR", "rr:p/q/r", "rr:d/sub/", "rr:c/./sub/f1"},
	{"-aLR", "rr:p/q/r", "rr:e/sub", "rr:k/f0"},
	{"-a", "--files-from=:list", "rr:"},
	{"-arL", "--files-from=:list", "rr:"},
	{"-ar", "--files-from=:/list", "rr:p"},
	{"-a", "rr:d/*", "rr:p/*/r/f*", "rr:[c-f]/sub/f?", "rr:*"},
	{"-aL", "rr:*/f*", "rr:p/q/*/*"},
	{"-aF", "rr:"},
	{"-aFFL", "rr:"},
	{"-a", "-f:- list", "-f:- f", "rr:"},
	{"-avv", "-f:C .rsync-filter", "rr:g/", "rr:d"},
	{"-ac", "--checksum-choice=md5", "rr:"},
	{"-acL", "--checksum-choice=md5", "rr:"},
	{"-aL", "--no-i-r", "rr:winding/", "rr:absolute", "rr:h", "rr:f"},
	{"-aH", "--no-i-r", "rr:e/", "rr:k/"},
	{"-aL", "rr::src/d", "rr::src/p/q/"},
	{"-aL", "--list-only", "rr:"},
}

// raceAttributes are more of them, for what only the second wall keeps inside.
var raceAttributes = [][]string{
	{"-aX", "rr:"},
	{"-aXL", "rr:d/", "rr:p/q/r/"},
}

// TestRaces pulls while files, directories and those above them are flipped
// between themselves and links to outside: with the walls of rrserve as it is,
// with Landlock and plain names, and with the second wall and no third. Nothing
// of outside reaches the client, be it in its copy, in a message, or in what was
// sent and thrown away. Without any wall something must, or the test would prove
// nothing.
func TestRaces(t *testing.T) {
	onewall := rrtest.OneWall(t, rrtest.TempDir(t))
	t.Run("no wall", func(t *testing.T) {
		r := newRace(t, "no wall", true, racePulls[:5]) // those without rules, which need not end well
		r.shell = onewall + " path open " + r.tree.src
		r.run(t, func() bool { return r.leaks.Load() > 0 })
		if r.leaks.Load() == 0 {
			t.Error("nothing leaks without a wall: this test proves nothing")
		}
	})
	for _, c := range []struct {
		name, shell string
		unseen      unseen
		pulls       [][]string
	}{
		{"both walls", "", true, slices.Concat(racePulls, raceAttributes)},
		{"Landlock, plain names", onewall + " path confined ", false, racePulls},
		{"second wall, no Landlock", onewall + " jail open ", true, slices.Concat(racePulls, raceAttributes)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRace(t, c.name, c.unseen, c.pulls)
			r.shell = c.shell + r.tree.src
			if c.shell == "" {
				r.shell = "ssh -F " + rrtest.Rrserve(t, r.tree.src).SSHConfig
			}
			r.run(t, func() bool { return false })
			if n := r.leaks.Load(); n > 0 {
				t.Errorf("%d of %d sessions leaked", n, r.sessions.Load())
			}
			if r.good.Load() == 0 || r.whole.Load() == r.sessions.Load() {
				t.Errorf("%d sessions brought files, %d met no link: this was no race", r.good.Load(), r.whole.Load())
			}
		})
	}
}

// race is one setting of the walls under a flipper.
type race struct {
	name     string
	tree     *raceTree
	pulls    [][]string
	shell    string // what rsync -e takes
	tap      string
	dir      string // of the copies
	sessions atomic.Int64
	leaks    atomic.Int64
	good     atomic.Int64 // sessions that brought a file
	whole    atomic.Int64 // sessions that ended with status 0
}

func newRace(t *testing.T, name string, unseen unseen, pulls [][]string) *race {
	r := &race{name: name, tree: newRaceTree(t, unseen), pulls: pulls, dir: rrtest.ScratchDir(t)}
	// tap FILE COMMAND... keeps what the command sends.
	r.tap = r.dir + "/tap"
	check(t, os.WriteFile(r.tap, []byte("#!/bin/bash\nset -o pipefail\nwire=$1\nshift\n\"$@\" | tee \"$wire\"\n"), 0o755))
	return r
}

// run pulls and flips until there was enough of both, or enough says so.
func (r *race) run(t *testing.T, enough func() bool) {
	f := r.tree.flip(t)
	var wg sync.WaitGroup
	for range raceWorkers {
		wg.Go(func() {
			for !enough() && !t.Failed() {
				n := r.sessions.Add(1)
				if n > raceSessions {
					r.sessions.Add(-1)
					return
				}
				r.pull(t, int(n))
			}
		})
	}
	wg.Wait()
	atLeast := int64(raceFlips)
	if enough() {
		atLeast = 0
	}
	t.Logf("race: %s: %d sessions, %d flips, %d leaks; %d sessions brought files, %d met no link",
		r.name, r.sessions.Load(), f.end(t, atLeast), r.leaks.Load(), r.good.Load(), r.whole.Load())
}

// pull runs session n and searches what it left.
func (r *race) pull(t *testing.T, n int) {
	dir := fmt.Sprintf("%s/%d", r.dir, n)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Error(err)
		return
	}
	defer rrtest.RemoveAll(dir)
	args := append([]string{"rsync", "-e", r.tap + " " + dir + "/wire " + r.shell}, r.pulls[n%len(r.pulls)]...)
	res, err := rrtest.Client{}.Exec(append(args, dir+"/copy/")...)
	if err != nil || !raced(res) {
		t.Errorf("session %d: %v\n%v", n, err, res)
		return
	}
	where, err := r.tree.leak(dir, res)
	if err != nil {
		t.Errorf("session %d: %v", n, err)
		return
	}
	if where != "" {
		r.leaks.Add(1)
		t.Logf("session %d: %q: a secret in %s", n, args[3:], strings.TrimPrefix(where, dir))
	}
	if wire, err := os.ReadFile(dir + "/wire"); err == nil && strings.Contains(string(wire), r.tree.inside) {
		r.good.Add(1)
	}
	if res.Code == 0 {
		r.whole.Add(1)
	}
}

// raced reports whether a session ended as races let it: whole, or with files
// that failed (23) or vanished (24), or before the first file for want of the
// directory or the list that were asked for. A client also gives up when a
// directory could not be sent and what is in it could, a moment later.
func raced(res rrtest.Result) bool {
	if slices.Contains([]int{0, 23, 24}, res.Code) {
		return true
	}
	return slices.ContainsFunc([]string{
		"[sender] change_dir ", "failed to open files-from file ", "ABORTING due to invalid path from sender",
	}, func(why string) bool { return strings.Contains(res.Stderr, why) })
}
