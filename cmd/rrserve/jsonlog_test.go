package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// A client that named itself with C1 controls could write to the terminal on which
// the log was read.
func TestJSONLog(t *testing.T) {
	const hostile = "é\x1b[2J\u009b2J\x7f\u202eevil\u2066\U000e0041\"\\ \xff"
	var out bytes.Buffer
	log := newLogger(&options{logFormat: "json"}, new(slog.LevelVar), &out)
	log.Info("failed", "user", hostile)
	line := strings.TrimSuffix(out.String(), "\n")
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || unseen(r) }) || !strings.Contains(line, "é") {
		t.Errorf("logged %q", line)
	}
	var record struct{ User string }
	if err := json.Unmarshal(out.Bytes(), &record); err != nil || record.User != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("read as %q, %v", record.User, err)
	}
}
