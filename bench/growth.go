package main

import (
	"fmt"
	"io"
	"time"
)

// grown is what rows that differ in nothing but their number of files took.
type grown struct {
	files int
	sides [2]usage // medians of rrserve and of the C stack
}

// writeGrowth says what each further file costs from one row to the next, free
// of what a session and a process cost without any. Where the cost of a file
// stays the same, so do the lines.
func writeGrowth(out io.Writer, rows []grown) {
	for i := 1; i < len(rows); i++ {
		a, b := rows[i-1], rows[i]
		var said [2]string
		for side, name := range [...]string{"rrserve", "C stack"} {
			cpu, memory := perFile(a, b, side)
			said[side] = fmt.Sprintf("%s %.2f µs of CPU, %.1f bytes", name, cpu, memory)
		}
		fmt.Fprintf(out, "from %d to %d files, each further one: %s; %s\n", a.files, b.files, said[0], said[1])
	}
}

// perFile is what each of the files that b has more than a took: CPU time in
// microseconds, memory in bytes.
func perFile(a, b grown, side int) (cpu, memory float64) {
	more := float64(b.files - a.files)
	from, to := a.sides[side], b.sides[side]
	return float64(to.cpu-from.cpu) / float64(time.Microsecond) / more, float64(to.memory-from.memory) / more
}
