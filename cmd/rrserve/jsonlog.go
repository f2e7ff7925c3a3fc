package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// plainJSON escapes what a terminal would obey or not show (C1 controls, marks
// that turn the direction of text) in records of slog's JSON handler, which escapes
// the controls of ASCII alone. JSON has such characters within strings only, where
// the escape means the same.
type plainJSON struct{ w io.Writer }

func (a plainJSON) Write(p []byte) (int, error) {
	if bytes.IndexFunc(p, unseen) < 0 {
		return a.w.Write(p)
	}
	var line []byte
	for _, r := range string(p) {
		if !unseen(r) {
			line = utf8.AppendRune(line, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			line = fmt.Appendf(line, `\u%04x`, unit)
		}
	}
	if _, err := a.w.Write(line); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unseen is what is not to stand in a record as itself; its line feed is.
func unseen(r rune) bool { return r >= unicode.MaxASCII && !unicode.IsPrint(r) }
