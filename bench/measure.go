package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what one run of a row took.
type usage struct {
	wall   time.Duration // of the client
	cpu    time.Duration // user and system time of all server processes
	memory int64         // bytes, the most that all server processes had at once
	client time.Duration // user and system time of the clients and their ssh
}

// clockTick is the unit of the times in /proc/PID/stat (USER_HZ, 100 on every
// Linux port that Go runs on).
const clockTick = time.Second / 100

// cpuTime is the time that the listening process and all its ended
// descendants used: utime, stime, cutime and cstime of proc(5). It is the
// kernel's own account and needs neither root nor control groups. A server
// that forks is complete in it once its last descendant was waited for, which
// waitForDescendants brings about; sshd waits for its sessions, and these for
// their commands.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the name, may hold blanks and parentheses.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const utime, cstime = 14 - 3, 17 - 3 // fields count from 1 in proc(5), and two are cut off
	var ticks int64
	for _, f := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// clientTime is the time that all clients used that have ended so far: nothing
// else is waited for while a row is measured.
func clientTime() (time.Duration, error) {
	var r unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_CHILDREN, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), err
}

// waitForDescendants waits until the listening process is alone.
func waitForDescendants(pid int) error {
	for deadline := time.Now().Add(time.Minute); len(descendants(pid)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("sessions of process %d did not end: %v", pid, descendants(pid))
		}
	}
	return nil
}

// descendants lists the children of a process, their children, and so on.
func descendants(pid int) []int {
	var all []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, f := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// sampler finds the peak of the memory of a server, the sum over all its
// processes of the proportional set size (PSS: a page shared by n of them, as
// after a fork, counts 1/n in each). Resident set sizes would count what sshd's
// processes share many times over, to the disadvantage of the C stack. It looks
// every sampleInterval, or less often where looking takes long, so a peak that
// is over sooner can be missed.
type sampler struct {
	stop chan struct{}
	peak chan int64
}

const sampleInterval = 20 * time.Millisecond

func startSampler(pid int) *sampler {
	s := &sampler{stop: make(chan struct{}), peak: make(chan int64)}
	go func() {
		var peak int64
		for last := false; ; {
			begin := time.Now()
			var sum int64
			for _, p := range append(descendants(pid), pid) {
				sum += pss(p)
			}
			peak = max(peak, sum)
			if last {
				s.peak <- peak
				return
			}
			select {
			case <-s.stop:
				last = true
			case <-time.After(max(sampleInterval, 2*time.Since(begin))):
			}
		}
	}()
	return s
}

// end looks once more and returns the peak in bytes.
func (s *sampler) end() int64 {
	close(s.stop)
	return <-s.peak
}

var pssLine = regexp.MustCompile(`(?m)^Pss:\s+([0-9]+) kB$`)

// pss is 0 for a process that is gone.
func pss(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	m := pssLine.FindSubmatch(text)
	if m == nil {
		return 0
	}
	kB, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kB << 10
}
