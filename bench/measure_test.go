package main

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestAccount measures a process whose grandchildren do the work and end, as
// sshd's sessions do.
func TestAccount(t *testing.T) {
	cmd := exec.Command("bash", "-c", `
		echo ready; read
		( ( memory=$(head -c 20000000 /dev/zero | tr '\0' x); for ((i = 0; i < 300000; i++)); do :; done; echo held; read ); : )
		echo done; read`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	pid := cmd.Process.Pid
	before, err := cpuTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	s := startSampler(pid)
	in.Write([]byte("\n"))
	lines.Scan()
	peak := s.end()
	in.Write([]byte("\n"))
	lines.Scan()
	if err := waitForDescendants(pid); err != nil {
		t.Fatal(err)
	}
	after, err := cpuTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	cmd.Wait()
	usage := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if got := after - before; got < usage*8/10-2*clockTick || got > usage+2*clockTick || got < 10*time.Millisecond {
		t.Errorf("%v of CPU time counted, wait4 says %v for all of it", got, usage)
	}
	if peak < 20_000_000 {
		t.Errorf("peak memory %d bytes, a grandchild held 20000000", peak)
	}
}

func TestColumns(t *testing.T) {
	sides := [2][]usage{{{cpu: 3}, {cpu: 1}, {cpu: 100}}, {{cpu: 6}, {cpu: 2}, {cpu: 10}, {cpu: 4}}}
	if got, want := columns(sides, 1, func(u usage) float64 { return float64(u.cpu) }), "3.0\t5.0\t0.60"; got != want {
		t.Errorf("columns = %q, want %q", got, want)
	}
}

func TestGrowth(t *testing.T) {
	us := time.Microsecond
	rows := []grown{
		{100, [2]usage{{cpu: 1000 * us, memory: 10_000}, {cpu: 5000 * us, memory: 20_000}}},
		{1100, [2]usage{{cpu: 3000 * us, memory: 25_000}, {cpu: 8500 * us, memory: 20_000}}},
	}
	var out strings.Builder
	writeGrowth(&out, rows)
	if want := "from 100 to 1100 files, each further one: rrserve 2.00 µs of CPU, 15.0 bytes; C stack 3.50 µs of CPU, 0.0 bytes\n"; out.String() != want {
		t.Errorf("growth %q, want %q", out.String(), want)
	}
}
