package token_test

import (
	"math"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/wire"
)

func TestParseMethod(t *testing.T) {
	for _, c := range []struct {
		name string
		want token.Method
		ok   bool
	}{
		{"none", token.None, true},
		{"zlib", token.Zlib, true},
		{"ZlibX", token.Zlibx, true},
		{"zstd", token.Zstd, true},
		{"LZ4", token.LZ4, true},
		{"", token.None, false},
		{"zlib-ng", token.None, false},
		{"auto", token.None, false},
	} {
		if m, ok := token.ParseMethod(c.name); m != c.want || ok != c.ok {
			t.Errorf("ParseMethod(%q) = %v, %v", c.name, m, ok)
		}
	}
	for name := range strings.FieldsSeq(token.ServerList) {
		if m, ok := token.ParseMethod(name); !ok || m.String() != name {
			t.Errorf("%q is offered and parsed as %v, %v", name, m, ok)
		}
	}
}

func TestNegotiate(t *testing.T) {
	for _, c := range []struct {
		list string
		want token.Method
		ok   bool
	}{
		{"zstd lz4 zlibx zlib", token.Zstd, true},
		{"zlib zstd", token.Zlib, true}, // the client's order, not ours
		{"brotli lz4 zlib", token.LZ4, true},
		{"none", token.None, true},
		{"ZLIBX", token.Zlibx, true},
		{"INVALID", token.None, false},
		{"", token.None, false},
	} {
		if m, ok := token.Negotiate(c.list); m != c.want || ok != c.ok {
			t.Errorf("Negotiate(%q) = %v, %v", c.list, m, ok)
		}
	}
}

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		m       token.Method
		n, want int
	}{
		{token.Zlib, token.DefaultLevel, 6}, {token.Zlib, -1, 6}, {token.Zlib, 0, 0}, {token.Zlib, 1, 1},
		{token.Zlib, 9, 9}, {token.Zlib, 10, 9}, {token.Zlib, -2, 1}, {token.Zlibx, math.MaxInt, 9},
		{token.Zlibx, token.DefaultLevel, 6}, {token.Zlibx, 0, 0},
		{token.Zstd, token.DefaultLevel, 3}, {token.Zstd, 0, 3}, {token.Zstd, -1, -1}, {token.Zstd, 22, 22},
		{token.Zstd, 23, 22}, {token.Zstd, -131073, -131072},
		{token.LZ4, 9, 0}, {token.None, 9, 0},
	} {
		if got := c.m.Level(c.n); got != c.want {
			t.Errorf("%v.Level(%d) = %d, want %d", c.m, c.n, got, c.want)
		}
	}
}

func TestUnknownMethod(t *testing.T) {
	if _, err := token.NewCompressed(wire.NewWriter(nil), token.LZ4+1, 0, 32, nil); err == nil {
		t.Error("no error")
	}
}
