package charset_test

import (
	"errors"
	"testing"

	"rrserve/internal/rsyncproto/charset"
)

func TestLookup(t *testing.T) {
	for name, same := range map[string]string{
		".": "utf-8", "UTF-8": "utf-8", "utf8": "utf-8", "UTF8//TRANSLIT": "utf-8",
		"ISO-8859-1": "iso-8859-1", "iso88591": "iso-8859-1", "ISO8859-1": "iso-8859-1", "ISO_8859-1": "iso-8859-1", "latin1": "iso-8859-1",
		"iso885915": "iso-8859-15", "CP1252": "windows-1252", "cp850": "ibm850", "cp858": "ibm00858", "KOI8-R": "koi8-r", "koi8r": "koi8-r",
		"sjis": "shift_jis", "eucjp": "euc-jp", "gbk": "gbk", "big5": "big5", "EUC-KR": "euc-kr", "macintosh": "macintosh",
	} {
		a, err := charset.Lookup(name)
		if err != nil {
			t.Error(err)
			continue
		}
		b, err := charset.Lookup(same)
		for c := range 256 {
			text := string([]byte{byte(c)})
			x, errX := a.ToUTF8(text)
			y, errY := b.ToUTF8(text)
			if err != nil || x != y || errX != errY {
				t.Errorf("%q is not %q: %q is %q and %q (%v)", name, same, text, x, y, err)
			}
		}
	}
	for _, name := range []string{"", "nonsense", "utf-16", "UTF-16LE", "IBM037", "hz-gb-2312", "replacement", "../x", "utf-7"} {
		_, err := charset.Lookup(name)
		var unknown *charset.UnknownError
		if !errors.As(err, &unknown) || unknown.Name != name {
			t.Errorf("Lookup(%q): %v, want that it is unknown", name, err)
		}
	}
}

func TestConvert(t *testing.T) {
	for _, c := range []struct{ set, local, utf8 string }{
		{"iso-8859-1", "a/\xe9\xfc\x80\xff", "a/éü\u0080ÿ"},
		{"iso-8859-15", "\xa4\x97", "€\u0097"},
		{"windows-1252", "\x80\x9f", "€Ÿ"},
		{"windows-1251", "\xef\xf0\xe8", "при"},
		{"koi8-r", "\xd0\xd2\xc9", "при"},
		{"cp437", "\x81\xe1", "üß"},
		{"shift_jis", "\x93\xfa\x96{/\x83\\", "日本/ソ"}, // the second byte of the last is a backslash
		{"euc-jp", "\xc6\xfc", "日"},
		{"gb18030", "\xc8\xd5\xa8\xa6\x81\x30\x89\x36", "日éÝ"},
		{"big5", "\xa4\xe9", "日"},
		{".", "é\ufffd/日", "é\ufffd/日"},
		{"iso-8859-1", "plain/ascii\x01", "plain/ascii\x01"},
		{"iso-8859-1", "", ""},
	} {
		set, err := charset.Lookup(c.set)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := set.ToUTF8(c.local); got != c.utf8 || err != nil {
			t.Errorf("%s: %q is %q in UTF-8, %v, want %q", c.set, c.local, got, err, c.utf8)
		}
		if got, err := set.FromUTF8(c.utf8); got != c.local || err != nil {
			t.Errorf("%s: %q is %q, %v, want %q", c.set, c.utf8, got, err, c.local)
		}
	}
}

func TestNotConvertible(t *testing.T) {
	for _, c := range []struct {
		set, local, utf8 string // "": not tried
		err              error
	}{
		{".", "a\xe9", "a\xe9", charset.ErrIncomplete},
		{".", "\xe9a", "\xe9a", charset.ErrInvalid},
		{".", "\xff", "\xff", charset.ErrInvalid},
		{".", "\xed\xa0\x80", "\xed\xa0\x80", charset.ErrInvalid}, // a surrogate
		{"iso-8859-1", "", "日", charset.ErrInvalid},
		{"iso-8859-1", "", "a\xe9", charset.ErrIncomplete},
		{"iso-8859-15", "", "¤", charset.ErrInvalid},
		{"windows-1252", "\x81", "\u0081", charset.ErrInvalid},
		{"iso-8859-3", "\xa5", "", charset.ErrInvalid},
		{"shift_jis", "\x93", "", charset.ErrInvalid},
		{"shift_jis", "\x93/a", "", charset.ErrInvalid},
		{"euc-jp", "\xff\xff", "日\u0080", charset.ErrInvalid},
		{"iso-2022-jp", "\x1b$B/\x1b(B", "", charset.ErrInvalid},
		// Shifts alone became no name, and with dots behind them the parent.
		{"iso-2022-jp", "\x1b$B", "", charset.ErrInvalid},
		{"iso-2022-jp", "a/\x1b(B../b", "", charset.ErrInvalid},
		{"iso-2022-jp", "\x1b(B.", "", charset.ErrInvalid},
	} {
		set, err := charset.Lookup(c.set)
		if err != nil {
			t.Fatal(err)
		}
		if c.local != "" {
			if got, err := set.ToUTF8(c.local); err != c.err {
				t.Errorf("%s: %q is %q in UTF-8, %v, want %v", c.set, c.local, got, err, c.err)
			}
		}
		if c.utf8 != "" {
			if got, err := set.FromUTF8(c.utf8); err != c.err {
				t.Errorf("%s: %q is %q, %v, want %v", c.set, c.utf8, got, err, c.err)
			}
		}
	}
}

func TestMessage(t *testing.T) {
	for _, c := range []struct{ set, text, want string }{
		{"iso-8859-1", "a\xe9 b\xfc", "aé bü"},
		{"windows-1252", "e\xcc\x81", "eÌ\x81"},
		{".", "\xe9 é", "\xe9 é"},
		{"shift_jis", "\x93\xfa", "日"},
		{"shift_jis", "\x93\xfa\xff", "\x93\xfa\xff"},
	} {
		set, err := charset.Lookup(c.set)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Message(c.text); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.set, c.text, got, c.want)
		}
	}
}
