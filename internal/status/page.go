package status

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rrserve/internal/ledger"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"span": span, "seconds": seconds, "size": size, "word": stateWord, "sandbox": sandboxText,
	"result": resultText, "iso": iso, "clock": clock, "link": clientLink, "since": time.Time.Sub, "short": short, "kind": kind,
}).Parse(pageText))

// refreshes are the intervals that ?refresh= may have, in seconds.
var refreshes = []int{5, 10, 60}

// plotDays is how far back the plot goes.
const plotDays = 14

// recentPulls is how many pulls the pages list.
const recentPulls = 50

// view is what the template gets.
type view struct {
	Report
	Refresh int // seconds; 0: none
	Client  *State
	Lanes   plot
	Bars    *bars // of one client
	Recent  []ledger.Pull
}

// Stale returns the clients whose last complete pull is too old.
func (v *view) Stale() []State {
	return slices.DeleteFunc(slices.Clone(v.Clients), func(s State) bool { return !s.Stale })
}

// Pulled reports whether any client ever did.
func (v *view) Pulled() bool {
	return slices.ContainsFunc(v.Clients, func(s State) bool { return s.Last != nil })
}

func (b *Board) page(w http.ResponseWriter, r *http.Request) {
	v := &view{Report: b.Report(), Refresh: refresh(r)}
	slices.SortStableFunc(v.Clients, staleFirst)
	since := v.Now.Add(-plotDays * 24 * time.Hour)
	pulls := b.ledger.Since(since)
	v.Lanes = lanes(v.Clients, pulls, since, v.Now)
	v.Recent = newest(pulls)
	render(w, v)
}

func (b *Board) clientPage(w http.ResponseWriter, r *http.Request) {
	v := &view{Report: b.Report(), Refresh: refresh(r)}
	found := only(v.Clients, r.URL.Query().Get("key"))
	if found == nil {
		http.Error(w, "no client of this name", http.StatusNotFound)
		return
	}
	v.Client = &found[0]
	pulls := slices.DeleteFunc(b.ledger.Since(time.Time{}), func(p ledger.Pull) bool { return p.Client != v.Client.Name })
	v.Bars = barsOf(pulls)
	v.Recent = newest(pulls)
	render(w, v)
}

func refresh(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("refresh"))
	if err != nil || !slices.Contains(refreshes, n) {
		return 0
	}
	return n
}

// render writes the page as a whole, or an error in place of half of it.
func render(w http.ResponseWriter, v *view) {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes()) // the reader may have gone
}

func staleFirst(x, y State) int {
	switch {
	case x.Stale == y.Stale:
		return 0
	case x.Stale:
		return -1
	}
	return 1
}

// short is a name that fits beside its lane.
func short(name string) string {
	const most = 20
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "\u2026"
	}
	return name
}

// newest returns the last pulls, newest first.
func newest(pulls []ledger.Pull) []ledger.Pull {
	pulls = slices.Clone(pulls[max(0, len(pulls)-recentPulls):])
	slices.Reverse(pulls)
	return pulls
}

func clientLink(name string) string { return "/client?key=" + url.QueryEscape(name) }

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// clock is a time for people, in the server's zone.
func clock(t time.Time) string { return t.Local().Format("Mon 2 Jan 15:04") }

// dryRun reports whether nothing was meant to arrive.
func dryRun(p *ledger.Pull) bool { return !p.Complete && p.Failed == 0 && p.Exit == 0 }

// kind is how good a pull was: the class of its result on the page.
func kind(p *ledger.Pull) string {
	switch {
	case p.Complete:
		return "good"
	case dryRun(p):
		return "soft"
	}
	return "bad"
}

// resultText is how a pull ended, in words.
func resultText(p *ledger.Pull) string {
	switch {
	case p.Complete && p.Vanished > 0:
		return fmt.Sprintf("complete, %d vanished", p.Vanished)
	case p.Complete:
		return "complete"
	case p.Failed > 0:
		return fmt.Sprintf("partial, %d failed", p.Failed)
	case dryRun(p):
		return "dry run"
	}
	return fmt.Sprintf("ended early, code %d", p.Exit)
}
