package status

import (
	"maps"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics reads the board when it is scraped; nothing is counted twice.
type metrics struct{ *Board }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("rrserve_"+name, help, labels, nil)
}

var (
	buildInfo     = desc("build_info", "Always 1; the version is in the label.", "version")
	startTime     = desc("start_time_seconds", "When the server started, Unix time.")
	ready         = desc("ready", "1 if a new pull would be served.")
	sandboxWall   = desc("sandbox_wall", "1 for each wall of the kernel that was proved to hold at the start.", "wall")
	runningNow    = desc("sessions_running", "Pulls that are running.")
	sessionsTotal = desc("sessions_total", "Commands of clients that ended, by how they ended.", "result")
	sumsTotal     = desc("checksums_total", "Checksums of files for clients that compare them (-c): computed, or remembered; of those computed, verified were remembered too, and differing ones mean possible bit rot.", "what")
	limitsTotal   = desc("limit_hits_total", "How often a limit refused or ended something.", "limit")
	sentBytes     = desc("sent_bytes_total", "Bytes sent to a client, before encryption.", "key")
	sentFiles     = desc("sent_files_total", "Files whose data were sent to a client.", "key")
	failedFiles   = desc("failed_files_total", "Files that could not be sent to a client.", "key")
	lastSuccess   = desc("last_success_timestamp_seconds", "When the last complete pull of a client ended, Unix time; 0 for a client that completed none.", "key")
	lastPull      = desc("last_pull_timestamp_seconds", "When the last pull of a client ended, complete or not, Unix time.", "key")
	lastDuration  = desc("last_success_duration_seconds", "How long the last complete pull of a client took.", "key")
	lastBytes     = desc("last_success_sent_bytes", "Bytes sent in the last complete pull of a client.", "key")
	staleAfter    = desc("stale_after_seconds", "Age at which the last complete pull of a client counts as stale.", "key")
	stale         = desc("stale", "1 if the last complete pull of a client is older than its stale_after.", "key")
)

// Describe sends nothing: the label values are only known when they are asked
// for (an unchecked collector).
func (m metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends what the board says now.
func (m metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(buildInfo, 1, m.facts.Version)
	gauge(startTime, unix(m.facts.Started))
	gauge(ready, truth(m.facts.Ready() == nil))
	m.mu.Lock()
	for _, wall := range m.walls {
		gauge(sandboxWall, 1, wall)
	}
	if m.limits != nil {
		for limit, n := range m.limits() {
			counter(limitsTotal, n, limit)
		}
	}
	gauge(runningNow, float64(len(m.running)))
	for result, n := range m.results {
		counter(sessionsTotal, n, result)
	}
	for what, n := range m.sums {
		counter(sumsTotal, uint64(n), what)
	}
	all := maps.Clone(m.clients)
	m.mu.Unlock()
	states := m.States()
	for _, s := range states { // from 0 on, or the first increase would be missed
		if all[s.Name] == nil && all[otherClient] == nil {
			all[s.Name] = new(totals)
		}
	}
	for client, t := range all {
		counter(sentBytes, t.Bytes.Load(), client)
		counter(sentFiles, t.Sent.Load(), client)
		counter(failedFiles, t.Failed.Load(), client)
	}
	for _, s := range states {
		key := s.Name
		success := 0.0
		if s.Complete != nil {
			success = unix(s.Complete.End())
			gauge(lastDuration, s.Complete.Seconds, key)
			gauge(lastBytes, float64(s.Complete.Bytes), key)
		}
		gauge(lastSuccess, success, key)
		if s.Last != nil {
			gauge(lastPull, unix(s.Last.End()), key)
		}
		if s.StaleAfter > 0 {
			gauge(staleAfter, s.StaleAfter.Seconds(), key)
			gauge(stale, truth(s.Stale), key)
		}
	}
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (b *Board) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics{b})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
