package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of the HTTP server. Nobody needs more of it, and it must not be what
// takes the memory of the pulls away.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 60 * time.Second
	maxHeader    = 8 << 10
	maxConns     = 64
)

// Handler answers GET and HEAD:
//
//	/             the page; /client?key=NAME the history of one client
//	/metrics      for Prometheus
//	/livez        200 while the process runs
//	/readyz       200 if a new pull would be served, else 503
//	/freshness    200 if no client is stale, else 503; ?key=NAME for one
//	/status.json  what the page shows
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.page)
	mux.HandleFunc("GET /client", b.clientPage)
	mux.Handle("GET /metrics", b.metricsHandler())
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", b.readyz)
	mux.HandleFunc("GET /freshness", b.freshness)
	mux.HandleFunc("GET /status.json", b.statusJSON)
	return guard(mux)
}

// guard adds the headers that keep a browser from doing more than showing text.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// Serve answers on ln until ctx ends.
func (b *Board) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           b.Handler(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	err := srv.Serve(&limitedListener{Listener: ln, slots: make(chan struct{}, maxConns)})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// limitedListener closes connections beyond its slots at once.
type limitedListener struct {
	net.Listener
	slots chan struct{}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &limitedConn{Conn: c, slots: l.slots}, nil
		default:
			c.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}

func (b *Board) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := b.facts.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// freshness prints a line per client, stale ones first.
func (b *Board) freshness(w http.ResponseWriter, r *http.Request) {
	states := b.States()
	if key := r.URL.Query().Get("key"); key != "" {
		states = only(states, key)
		if len(states) == 0 {
			http.Error(w, "no client of this name", http.StatusNotFound)
			return
		}
	}
	var fresh, old strings.Builder
	for _, s := range states {
		if s.Stale {
			fmt.Fprintln(&old, freshnessLine(&s))
		} else {
			fmt.Fprintln(&fresh, freshnessLine(&s))
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if old.Len() > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(w, old.String(), fresh.String())
}

func only(states []State, key string) []State {
	for i := range states {
		if states[i].Name == key {
			return states[i : i+1]
		}
	}
	return nil
}

func freshnessLine(s *State) string {
	word, last, limit := "fresh", "never", ""
	if s.Stale {
		word = "STALE"
	}
	if s.Complete != nil {
		last = s.Complete.End().UTC().Format(time.RFC3339)
	}
	if s.StaleAfter > 0 {
		limit = fmt.Sprintf(" of %s", span(s.StaleAfter))
	}
	return fmt.Sprintf("%s %s: last complete pull %s, %s%s", word, s.Name, last, span(s.Age), limit)
}

// Report is what /status.json holds.
type Report struct {
	Version string            `json:"version"`
	Started time.Time         `json:"started"`
	Now     time.Time         `json:"now"`
	Ready   string            `json:"ready"` // "ok", or why not
	Sandbox []string          `json:"sandbox"`
	Clients []State           `json:"clients"`
	Running []Session         `json:"running"`
	Results map[string]uint64 `json:"results"`
}

// Report returns what there is to tell now.
func (b *Board) Report() Report {
	r := Report{
		Version: b.facts.Version, Started: b.facts.Started, Now: b.facts.Now(), Ready: "ok",
		Clients: b.States(), Running: b.Running(), Results: make(map[string]uint64),
	}
	if err := b.facts.Ready(); err != nil {
		r.Ready = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Sandbox = b.walls
	for result, n := range b.results {
		r.Results[result] = n
	}
	return r
}

func (b *Board) statusJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(b.Report()) // the reader may have gone
}
