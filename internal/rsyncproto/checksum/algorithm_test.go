package checksum_test

import (
	"testing"

	. "rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/wire"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		want Algorithm
		size int
	}{
		{"xxh128", XXH128, 16},
		{"xxh3", XXH3, 8},
		{"xxh64", XXH64, 8},
		{"xxhash", XXH64, 8},
		{"XXHash", XXH64, 8},
		{"md5", MD5, 16},
		{"MD5", MD5, 16},
		{"md4", MD4, 16},
		{"sha1", SHA1, 20},
		{"none", None, 1},
	} {
		a, ok := Parse(c.name)
		if !ok || a != c.want || a.Size() != c.size {
			t.Errorf("Parse(%q) = %d of %d bytes, %v", c.name, a, a.Size(), ok)
		}
		if back, ok := Parse(a.Name()); !ok || back != a {
			t.Errorf("Parse(%q) = %d, %v", a.Name(), back, ok)
		}
	}
	for _, name := range []string{"", " md5", "md5 ", "sha256", "auto", "md4-auto", "INVALID"} {
		if a, ok := Parse(name); ok || a != 0 {
			t.Errorf("Parse(%q) = %v", name, a)
		}
	}
	if n := MD4Auto.Size(); n != 16 {
		t.Errorf("MD4Auto has %d bytes", n)
	}
	if n := Algorithm(0).Size(); n != 0 {
		t.Errorf("no algorithm has %d bytes", n)
	}
}

func TestNegotiate(t *testing.T) {
	for _, c := range []struct {
		list string
		want Algorithm // 0: no common name
	}{
		{"xxh128 xxh3 xxh64 md5 md4 sha1", XXH128},
		{"md5 xxh128", MD5}, // the client's order, not ours
		{"sha512 sha1 md5", SHA1},
		{"xxhash md5", XXH64},
		{"MD4", MD4},
		{"none", None},
		{ServerList, XXH128},
		{"", 0},
		{"INVALID", 0},
		{"sha256 blake3", 0},
	} {
		a, ok := Negotiate(c.list)
		if a != c.want || ok != (c.want != 0) {
			t.Errorf("Negotiate(%q) = %v, %v", c.list, a, ok)
		}
	}
}

func TestParseChoice(t *testing.T) {
	for _, c := range []struct {
		value string
		v     wire.Version
		want  Choice
		err   string
	}{
		{"xxh3", 31, Choice{XXH3, XXH3}, ""},
		{"none", 32, Choice{None, None}, ""},
		{"none,md5", 32, Choice{None, MD5}, ""},
		{"sha1,XXHASH", 31, Choice{SHA1, XXH64}, ""},
		{"auto,md5", 32, Choice{MD5, MD5}, ""},
		{"xxh64,auto", 30, Choice{XXH64, MD5}, ""},
		{"xxh64,auto", 29, Choice{XXH64, MD4Auto}, ""},
		{"auto", 29, Choice{MD4Auto, MD4Auto}, ""},
		{"md4", 29, Choice{MD4, MD4}, ""},
		{"crc", 31, Choice{}, "unknown checksum name: crc"},
		{"md5,crc", 31, Choice{}, "unknown checksum name: crc"},
		{"md5,", 31, Choice{}, "unknown checksum name: "},
		{"md5,md5,md5", 31, Choice{}, "unknown checksum name: md5,md5"},
		{"", 31, Choice{}, "unknown checksum name: "},
	} {
		got, err := ParseChoice(c.value, c.v)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("ParseChoice(%q, %d) = %v, %v", c.value, c.v, got, err)
		}
	}
}
