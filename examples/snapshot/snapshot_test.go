// Package snapshot_test runs the examples of snapshot commands against stand-ins
// for the programs that they call.
package snapshot_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The stand-ins keep what they made in directories: snapshots in that of the
// commands, volumes in $VOLUMES. With $FAIL set, nothing can be made.
var standIns = map[string]string{
	"btrfs": `case "$1 $2 $3" in
"subvolume snapshot -r") [ -z "$FAIL" ] && [ ! -e "$5" ] && cp -a "$4" "$5" ;;
"subvolume delete "*) rm -r "$3" ;;
*) exit 9 ;;
esac`,
	"zfs": `case "$*" in
"snapshot tank/photos@"*) [ -z "$FAIL" ] && cp -a "$RRSERVE_SNAPSHOT_OF" "$RRSERVE_SNAPSHOT_DIR/${2#*@}" ;;
"list -t snapshot tank/photos@"*) [ -d "$RRSERVE_SNAPSHOT_DIR/${4#*@}" ] ;;
"list -H -t snapshot -d 1 -o name tank/photos") ls "$RRSERVE_SNAPSHOT_DIR" | sed 's|^|tank/photos@|' ;;
"destroy tank/photos@"*) rm -r "$RRSERVE_SNAPSHOT_DIR/${2#*@}" ;;
*) exit 9 ;;
esac`,
	"lvs": `case "$*" in
"--noheadings -o lv_name vg0") ls "$VOLUMES" | sed 's/^/  /' ;;
vg0/*) [ -d "$VOLUMES/${1#vg0/}" ] ;;
*) exit 9 ;;
esac`,
	"lvcreate": `case "$*" in
"-q -y --snapshot --size 10G --name "*" vg0/photos") [ -z "$FAIL" ] && cp -a "$RRSERVE_SNAPSHOT_OF" "$VOLUMES/$7" ;;
*) exit 9 ;;
esac`,
	"lvremove": `case "$*" in
"-q -y vg0/"*) rm -r "$VOLUMES/${3#vg0/}" ;;
*) exit 9 ;;
esac`,
	"mount": `case "$*" in
"-o ro,nouuid /dev/vg0/"*) cp -a "$VOLUMES/${3#/dev/vg0/}/." "$4" ;;
*) exit 9 ;;
esac`,
	"mountpoint": `[ "$1" = -q ] && [ -n "$(ls "$2" 2>/dev/null)" ]`,
	"umount":     `rm -r "$1"/*`,
}

// site is what a command finds.
type site struct {
	t                         *testing.T
	bin, live, snaps, volumes string
}

func newSite(t *testing.T) *site {
	dir := t.TempDir()
	s := &site{t, dir + "/bin", dir + "/live", dir + "/snaps", dir + "/volumes"}
	for _, d := range []string{s.bin, s.live, s.snaps, s.volumes} {
		s.check(os.Mkdir(d, 0o755))
	}
	for name, text := range standIns {
		s.check(os.WriteFile(s.bin+"/"+name, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	s.check(os.WriteFile(s.live+"/file", []byte("frozen"), 0o644))
	return s
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// left is what lies in the places of snapshots and volumes.
func (s *site) left() (names []string) {
	for _, dir := range []string{s.snaps, s.volumes} {
		entries, err := os.ReadDir(dir)
		s.check(err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	return names
}

// command is a running example.
type command struct {
	*exec.Cmd
	path   string // printed; "" for none
	stderr bytes.Buffer
	end    func() // ends its input
}

func (s *site) start(fail string, args ...string) *command {
	s.t.Helper()
	c := &command{Cmd: exec.Command("sh", args...)}
	c.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"), "FAIL="+fail, "VOLUMES="+s.volumes,
		"RRSERVE_SNAPSHOT_NAME=photos", "RRSERVE_SNAPSHOT_OF="+s.live, "RRSERVE_SNAPSHOT_DIR="+s.snaps)
	c.Stderr = &c.stderr
	stdin, err := c.StdinPipe()
	s.check(err)
	stdout, err := c.StdoutPipe()
	s.check(err)
	s.check(c.Start())
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	c.path = strings.TrimSuffix(line, "\n")
	c.end = func() { stdin.Close() }
	return c
}

var examples = [][]string{{"btrfs.sh"}, {"zfs.sh", "tank/photos"}, {"lvm.sh", "vg0/photos", "10G", "nouuid"}}

func TestExamples(t *testing.T) {
	for _, args := range examples {
		t.Run(args[0], func(t *testing.T) {
			s := newSite(t)
			// What another one left behind, and what one still holds.
			gone := exec.Command("true")
			s.check(gone.Run())
			first := s.start("", args...)
			stale := filepath.Join(s.snaps, fmt.Sprintf("rrserve-%d", gone.Process.Pid))
			s.check(os.Mkdir(stale, 0o755))
			if args[0] == "lvm.sh" {
				s.check(os.Mkdir(filepath.Join(s.volumes, filepath.Base(stale)), 0o755))
			}
			second := s.start("", args...)
			s.check(os.WriteFile(s.live+"/file", []byte("changed"), 0o644))
			for _, c := range []*command{first, second} {
				if text, err := os.ReadFile(c.path + "/file"); string(text) != "frozen" || filepath.Dir(c.path) != s.snaps {
					t.Errorf("%s has %q, %v\n%s", c.path, text, err, c.stderr.String())
				}
			}
			if _, err := os.Stat(stale); err == nil {
				t.Errorf("%s is still there", stale)
			}
			first.end()
			if err := first.Wait(); err != nil {
				t.Errorf("%v\n%s", err, first.stderr.String())
			}
			if _, err := os.Stat(first.path); err == nil {
				t.Errorf("%s is still there", first.path)
			}
			s.check(second.Process.Signal(syscall.SIGTERM)) // once its input ends, sh sees it
			second.end()
			second.Wait()
			if left := s.left(); len(left) > 0 {
				t.Errorf("%v is left", left)
			}

			failed := s.start("yes", args...)
			failed.end()
			if err := failed.Wait(); err == nil || failed.path != "" {
				t.Errorf("a snapshot that cannot be made: %q, %v", failed.path, err)
			}
			if left := s.left(); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}
