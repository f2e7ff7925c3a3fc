package status

import (
	"slices"
	"time"

	"rrserve/internal/ledger"
)

// plot is the pulls of all clients over time, a lane each. All lengths are in
// the units of the picture.
type plot struct {
	Width, Height int
	Left          int // where the lanes begin, behind the names
	Days          []tick
	Lanes         []lane
}

// Sizes of the plot.
const (
	plotWidth  = 900
	plotLeft   = 150
	plotRight  = 12
	laneHeight = 28
	plotTop    = 24
	maxLanes   = 40
)

type tick struct {
	X     float64
	Label string
}

type lane struct {
	Y     int
	Name  string
	Stale bool
	Marks []mark
}

// mark is one pull.
type mark struct {
	X           float64
	Kind, Title string
}

// lanes draws the pulls between two times. More clients than fit are left to
// the table below.
func lanes(states []State, pulls []ledger.Pull, from, to time.Time) plot {
	states = states[:min(len(states), maxLanes)]
	p := plot{Width: plotWidth, Left: plotLeft, Height: plotTop + laneHeight*len(states) + 8}
	x := func(t time.Time) float64 {
		return plotLeft + float64(plotWidth-plotLeft-plotRight)*float64(t.Sub(from))/float64(to.Sub(from))
	}
	for day := from.Local().Truncate(time.Hour); !day.After(to); day = day.Add(time.Hour) {
		if day.Hour() == 0 && !day.Before(from) {
			label := ""
			if len(p.Days)%2 == 0 {
				label = day.Format("2 Jan")
			}
			p.Days = append(p.Days, tick{x(day), label})
		}
	}
	at := make(map[string]int)
	for i, s := range states {
		at[s.Name] = i
		p.Lanes = append(p.Lanes, lane{Y: plotTop + laneHeight*i + laneHeight/2, Name: s.Name, Stale: s.Stale})
	}
	for i := range pulls {
		pull := &pulls[i]
		n, ok := at[pull.Client]
		if !ok {
			continue
		}
		title := clock(pull.End()) + ": " + resultText(pull) + ", " + size(pull.Bytes) + " in " + seconds(pull.Seconds)
		p.Lanes[n].Marks = append(p.Lanes[n].Marks, mark{x(pull.End()), kind(pull), title})
	}
	return p
}

// bars is the newest pulls of one client: how long each took and what it sent.
type bars struct {
	Width, Height int
	Base          int // y of the axis
	Bars          []bar
	MostBytes     int64
	MostSeconds   float64
}

type bar struct {
	X, Width         float64
	BytesY, Bytes    float64 // above the axis
	SecondsY, Second float64 // below it
	Complete         bool
	Title            string
}

// Sizes of the bars.
const (
	barsHeight = 200
	maxBars    = 90
)

func barsOf(pulls []ledger.Pull) *bars {
	pulls = slices.DeleteFunc(slices.Clone(pulls), func(p ledger.Pull) bool { return dryRun(&p) })
	pulls = pulls[max(0, len(pulls)-maxBars):]
	b := &bars{Width: plotWidth, Height: barsHeight, Base: barsHeight / 2}
	for i := range pulls {
		b.MostBytes = max(b.MostBytes, pulls[i].Bytes)
		b.MostSeconds = max(b.MostSeconds, pulls[i].Seconds)
	}
	const room = barsHeight/2 - 14
	step := float64(plotWidth) / float64(max(len(pulls), 30))
	for i := range pulls {
		p := &pulls[i]
		up := share(float64(p.Bytes), float64(b.MostBytes)) * room
		down := share(p.Seconds, b.MostSeconds) * room
		b.Bars = append(b.Bars, bar{
			X: step * float64(i), Width: step * 0.7,
			BytesY: float64(b.Base) - up, Bytes: up,
			SecondsY: float64(b.Base), Second: down,
			Complete: p.Complete,
			Title:    clock(p.End()) + ": " + resultText(p) + ", " + size(p.Bytes) + " in " + seconds(p.Seconds),
		})
	}
	return b
}

// share is the part of most that v is, and never too small to be seen.
func share(v, most float64) float64 {
	if most <= 0 {
		return 0.02
	}
	return max(0.02, v/most)
}
