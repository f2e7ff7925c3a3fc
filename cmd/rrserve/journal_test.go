package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJournalHandler(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(io.Writer, *slog.HandlerOptions) slog.Handler
		want    string
	}{
		{"text", textHandler, "<7>level=DEBUG msg=a x=1\n<6>level=INFO msg=<3>b x=1 g.y=2\n<4>level=WARN msg=c\n<3>level=ERROR msg=d\n"},
		{"json", jsonHandler, `<7>{"level":"DEBUG","msg":"a","x":1}` + "\n" + `<6>{"level":"INFO","msg":"<3>b","x":1,"g":{"y":2}}` + "\n" + `<4>{"level":"WARN","msg":"c"}` + "\n" + `<3>{"level":"ERROR","msg":"d"}` + "\n"},
	} {
		var out bytes.Buffer
		log := slog.New(newJournalHandler(&out, slog.HandlerOptions{Level: slog.LevelDebug}, tt.handler))
		with := log.With("x", 1)
		with.Debug("a")
		with.WithGroup("g").Info("<3>b", "y", 2)
		log.Warn("c")
		log.Error("d")
		if diff := cmp.Diff(tt.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestToJournal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, tt := range []struct {
		stream string
		want   bool
	}{{"", false}, {"8:1", false}, {fileID(w), true}} {
		t.Setenv("JOURNAL_STREAM", tt.stream)
		if got := toJournal(w); got != tt.want {
			t.Errorf("JOURNAL_STREAM=%s: %v", tt.stream, got)
		}
	}
	if toJournal(new(bytes.Buffer)) {
		t.Error("a buffer is taken for the journal")
	}
}
