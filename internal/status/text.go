package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText prints a report for a terminal.
func WriteText(w io.Writer, r *Report) error {
	fmt.Fprintf(w, "rrserve %s, up %s, ready: %s\n", r.Version, span(r.Now.Sub(r.Started)), r.Ready)
	fmt.Fprintf(w, "sandbox: %s\n\n", sandboxText(r.Sandbox))
	tab := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tab, "CLIENT\tSTATE\tLAST COMPLETE PULL\tTOOK\tSENT\tLAST RESULT")
	for i := range r.Clients {
		s := &r.Clients[i]
		last, took, sent, result := "never", "-", "-", "-"
		if s.Complete != nil {
			last, took, sent = span(s.Age)+" ago", seconds(s.Complete.Seconds), size(s.Complete.Bytes)
		}
		if s.Last != nil {
			result = resultText(s.Last)
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, stateWord(s), last, took, sent, result)
	}
	if len(r.Clients) == 0 {
		fmt.Fprintln(tab, "no client has pulled yet")
	}
	if len(r.Running) > 0 {
		fmt.Fprintln(tab, "\nRUNNING\tFROM\tROOT\tSINCE\tSENT\tFILES SENT OF LISTED")
		for _, s := range r.Running {
			fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%d of %d\n", s.Client, s.From, s.Root, span(r.Now.Sub(s.Began)), size(s.Bytes), s.Sent, s.Listed)
		}
	}
	return tab.Flush()
}

func sandboxText(walls []string) string {
	if len(walls) == 0 {
		return "none"
	}
	return strings.Join(walls, ", ")
}

// stateWord is a client's state in a word.
func stateWord(s *State) string {
	switch {
	case s.Stale:
		return "STALE"
	case s.Complete == nil:
		return "waiting"
	case s.StaleAfter == 0:
		return "known"
	}
	return "fresh"
}

// span is a time with its two leading units: "3d 4h", "12m 5s".
func span(d time.Duration) string {
	d = max(0, d)
	for _, u := range []struct {
		size, next time.Duration
		name, sub  string
	}{{24 * time.Hour, time.Hour, "d", "h"}, {time.Hour, time.Minute, "h", "m"}, {time.Minute, time.Second, "m", "s"}} {
		if d >= u.size {
			text := fmt.Sprintf("%d%s", d/u.size, u.name)
			if rest := d % u.size / u.next; rest > 0 {
				text += fmt.Sprintf(" %d%s", rest, u.sub)
			}
			return text
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func seconds(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.1fs", s)
	}
	return span(time.Duration(s * float64(time.Second)))
}

// size is a number of bytes in units of 1024, as rsync -hh prints them.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[unit])
}
