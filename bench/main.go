// Bench compares rrserve with what it replaces: OpenSSH sshd with rrsync -ro
// and rsync as the forced command. The same stock client pulls the same trees
// from both over loopback, the two taking turns in one run, and a table of
// medians and ratios is printed (below 1: rrserve needs less).
//
//	go run ./bench                   the full table, about fifteen minutes
//	go run ./bench -scale 0.05       a quick look
//	go run ./bench -run 'edited|text' some rows
//
// One row has storage that is slow to open and read, which is mounted below both
// servers; that takes root and /dev/fuse.
//
// Wall time is the client's, from its start to its end. CPU time and memory are
// those of all processes of the server, see measure.go. The client's CPU time
// shows what a server cannot make shorter.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

func main() {
	reps := flag.Int("reps", 3, "runs of each row and server; the table has medians")
	scale := flag.Float64("scale", 1, "size of the data, 1 = as described")
	parent := flag.String("dir", "", "folder for the data (default: /dev/shm where it has room, else the temporary folder)")
	run := flag.String("run", "", "only rows that match this regular expression")
	binary := flag.String("rrserve", "", "rrserve binary (default: built from this module)")
	flag.Parse()
	only, err := regexp.Compile(*run)
	if err == nil && (flag.NArg() > 0 || *reps < 1 || *scale <= 0) {
		err = fmt.Errorf("wrong arguments, see -help")
	}
	if err == nil {
		err = bench(os.Stdout, *parent, *binary, *reps, *scale, only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(out io.Writer, parent, binary string, reps int, scale float64, only *regexp.Regexp) error {
	if parent == "" {
		parent = dataParent(scale)
	}
	selected := slices.DeleteFunc(rows(scale), func(r row) bool { return !only.MatchString(r.name) })
	for _, r := range selected {
		if r.delay > 0 && os.Geteuid() != 0 {
			return fmt.Errorf("%s: mounting the slow storage takes root; choose other rows with -run", r.name)
		}
	}
	dir, err := os.MkdirTemp(parent, "rrbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if binary == "" {
		binary = dir + "/rrserve"
		if err := rrtest.Build(binary); err != nil {
			return err
		}
	}
	describeHost(out, dir, reps, scale)
	tab := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "\twall s\t\t\tserver CPU s\t\t\tserver memory MiB\t\t\tclient CPU s\t\t\t")
	fmt.Fprintln(tab, "row\trrserve\tC stack\tratio\trrserve\tC stack\tratio\trrserve\tC stack\tratio\trrserve\tC stack\tratio\t")
	b := &runner{dir: dir, binary: binary, reps: reps}
	var growth []grown
	for _, row := range selected {
		fmt.Fprintf(os.Stderr, "%s ...\n", row.name)
		sides, err := b.row(row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t\n", row.name,
			columns(sides, 3, wallSeconds), columns(sides, 3, cpuSeconds), columns(sides, 1, mebibytes), columns(sides, 3, clientSeconds))
		if row.files > 0 {
			growth = append(growth, grown{row.files, [2]usage{middle(sides[0]), middle(sides[1])}})
		}
	}
	err = tab.Flush()
	writeGrowth(out, growth)
	return err
}

// columns formats the medians of one figure for both servers, and their ratio.
func columns(sides [2][]usage, digits int, figure func(usage) float64) string {
	m := [2]float64{figure(middle(sides[0])), figure(middle(sides[1]))}
	return fmt.Sprintf("%.*f\t%.*f\t%.2f", digits, m[0], digits, m[1], m[0]/m[1])
}

func wallSeconds(u usage) float64   { return u.wall.Seconds() }
func cpuSeconds(u usage) float64    { return u.cpu.Seconds() }
func clientSeconds(u usage) float64 { return u.client.Seconds() }
func mebibytes(u usage) float64     { return float64(u.memory) / (1 << 20) }

// middle is the median of each figure.
func middle(runs []usage) usage {
	return usage{
		wall:   median(runs, func(u usage) time.Duration { return u.wall }),
		cpu:    median(runs, func(u usage) time.Duration { return u.cpu }),
		memory: median(runs, func(u usage) int64 { return u.memory }),
		client: median(runs, func(u usage) time.Duration { return u.client }),
	}
}

func median[T ~int64](runs []usage, figure func(usage) T) T {
	values := make([]T, len(runs))
	for i, u := range runs {
		values[i] = figure(u)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// dataParent is memory when it holds the data about twice, else the default
// temporary folder: a disk would be measured in place of the servers.
func dataParent(scale float64) string {
	const shm = "/dev/shm"
	var st unix.Statfs_t
	if unix.Statfs(shm, &st) != nil || float64(st.Bavail)*float64(st.Bsize) < 12*(1<<30)*scale {
		return ""
	}
	return shm
}

func describeHost(out io.Writer, dir string, reps int, scale float64) {
	fmt.Fprintf(out, "%s, %d CPUs, %s, %d runs each, scale %g, data in %s\n", cpuModel(), runtime.NumCPU(), runtime.Version(), reps, scale, dir)
	for _, cmd := range [][]string{{"rsync", "--version"}, {"ssh", "-V"}} {
		text, _ := exec.Command(cmd[0], cmd[1:]...).CombinedOutput()
		line, _, _ := strings.Cut(string(text), "\n")
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, time.Now().UTC().Format(time.RFC3339))
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(text)
	if m == nil {
		return runtime.GOARCH
	}
	return string(m[1])
}
