package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// Priorities of the journal (sd-daemon(3)), which are those of syslog(3).
const (
	priorityError   = 3
	priorityWarning = 4
	priorityInfo    = 6
	priorityDebug   = 7
)

// journalHandler puts its priority in front of each record: the journal takes it
// off again, and journalctl -p warning finds what it should.
type journalHandler struct {
	slog.Handler // writes to out.line
	out          *journalLine
}

// journalLine is a record on its way to the journal.
type journalLine struct {
	mu   sync.Mutex
	line bytes.Buffer
	w    io.Writer
}

// newJournalHandler takes the function that makes the handler of a format. The
// journal has its own time.
func newJournalHandler(w io.Writer, ho slog.HandlerOptions, handler func(io.Writer, *slog.HandlerOptions) slog.Handler) slog.Handler {
	ho.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	out := &journalLine{w: w}
	return &journalHandler{handler(&out.line, &ho), out}
}

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.line.Reset()
	fmt.Fprintf(&h.out.line, "<%d>", priority(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.out.w.Write(h.out.line.Bytes())
	return err
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.Handler.WithGroup(name), h.out}
}

func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return priorityError
	case l >= slog.LevelWarn:
		return priorityWarning
	case l >= slog.LevelInfo:
		return priorityInfo
	}
	return priorityDebug
}

// toJournal reports whether w leads to the journal. The variable alone does not
// say so: it is inherited by what redirects its output.
func toJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	id := fileID(f)
	return id != "" && id == os.Getenv("JOURNAL_STREAM")
}
