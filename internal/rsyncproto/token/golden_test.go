package token_test

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/token/tokentest"
	"rrserve/internal/rsyncproto/wire"
)

//go:embed testdata/golden.tsv
var golden string

// sourceText is the source file of the delta sessions.
func sourceText() []byte {
	var p []byte
	for i := range 2000 {
		p = fmt.Appendf(p, "line %06d the quick brown fox\n", i)
	}
	return p
}

// basisText is the client's version of sourceText.
var basisText = sync.OnceValue(func() []byte {
	p := sourceText()
	copy(p[10000:], "XYZ")
	return slices.Insert(p, 40000, []byte("some inserted text here\n")...)
})

func block700(i int32) ([]byte, error) {
	p := basisText()
	if int(i) > len(p)/700 {
		return nil, fmt.Errorf("no block %d", i)
	}
	return p[i*700 : min(int(i+1)*700, len(p))], nil
}

// The decoder that judges the Writers reads what real rsync servers sent.
func TestGolden(t *testing.T) {
	content := map[string][]byte{
		"text":  sourceText(),
		"a.txt": []byte("hello\n"),
		"b.txt": []byte("world, this is file b\n"),
	}
	type session struct {
		in  bytes.Buffer
		dec *tokentest.Decoder
	}
	sessions := map[string]*session{}
	for line := range strings.Lines(golden) {
		if line[0] == '#' {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		name, file := f[0], f[3]
		m, ok := token.ParseMethod(f[1])
		v, err := strconv.Atoi(f[2])
		raw, err2 := hex.DecodeString(f[4])
		if !ok || err != nil || err2 != nil {
			t.Fatalf("bad line %q", line)
		}
		s := sessions[name]
		if s == nil {
			s = new(session)
			s.dec = tokentest.NewDecoder(wire.NewReader(&s.in), m, wire.Version(v))
			defer s.dec.Close()
			sessions[name] = s
		}
		s.in.Write(raw)
		got, err := s.dec.File(block700)
		if err != nil {
			t.Errorf("%s, %s: %v", name, file, err)
		} else if !bytes.Equal(got, content[file]) {
			t.Errorf("%s, %s: got %d bytes %.40q", name, file, len(got), got)
		}
	}
	if len(sessions) != 9 {
		t.Errorf("%d sessions, want 9", len(sessions))
	}
}
