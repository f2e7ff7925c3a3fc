package acl

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// blob is a value in hexadecimal, spaces are for the reader.
func blob(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	header = "02000000 "
	owner  = "0100 0600 ffffffff "
	uid1   = "0200 0600 01000000 "
	uid300 = "0200 0400 2c010000 "
	owning = "0400 0400 ffffffff "
	gid2   = "0800 0100 02000000 "
	bigGID = "0800 0700 feffffff "
	mask   = "1000 0700 ffffffff "
	other  = "2000 0000 ffffffff "
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, blob string
		want       ACL
	}{
		{"none", header, Empty()},
		{"plain", header + owner + owning + other, ACL{6, 4, None, 0, nil}},
		{"full", header + owner + uid1 + uid300 + owning + gid2 + bigGID + mask + other,
			ACL{6, 4, 7, 0, []Named{{1, 6, false}, {300, 4, false}, {2, 1, true}, {4294967294, 7, true}}}},
		{"in disorder", header + bigGID + mask + uid300 + gid2 + uid1,
			ACL{None, None, 7, None, []Named{{1, 6, false}, {300, 4, false}, {2, 1, true}, {4294967294, 7, true}}}},
		{"twice the same id", header + uid1 + "0200 0000 01000000", ACL{None, None, None, None, []Named{{1, 6, false}, {1, 0, false}}}},
	} {
		got, err := Parse(blob(t, c.blob))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func TestParseMalformed(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"half a header":   "0200",
		"other version":   "01000000" + owner,
		"half an entry":   header + owner + "0100",
		"unknown tag":     header + "4000 0600 ffffffff",
		"no tag":          header + "0000 0600 ffffffff",
		"two tags":        header + "0300 0600 ffffffff",
		"permissions":     header + "0100 0800 ffffffff",
		"owner twice":     header + owner + owner,
		"group twice":     header + owning + owning,
		"mask twice":      header + mask + mask,
		"other twice":     header + other + other,
		"bad after named": header + uid1 + "0200 ff00 02000000",
	} {
		got, err := Parse(blob(t, text))
		if diff := cmp.Diff(Empty(), got); diff != "" || err != ErrSyntax {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// The reductions of protocol section 2.6.1, each case with and without what it
// depends on.
func TestReduce(t *testing.T) {
	named := []Named{{1, 6, false}}
	for _, c := range []struct {
		name string
		mode uint32
		acl  ACL
		want ACL
	}{
		{"plain", 0o640, ACL{6, 4, None, 0, nil}, Empty()},
		{"no mask, other bits", 0o600, ACL{6, 4, None, 0, nil}, Empty()},
		{"mask is the mode's", 0o674, ACL{6, 4, 7, 4, named}, ACL{None, 4, None, None, named}},
		{"mask is not the mode's", 0o644, ACL{6, 7, 7, 4, named}, ACL{None, 7, 7, None, named}},
		{"group is the mode's", 0o644, ACL{6, 4, 7, 4, named}, ACL{None, None, 7, None, named}},
		{"both are", 0o644, ACL{6, 4, 4, 4, named}, ACL{None, None, None, None, named}},
		{"mask without names", 0o644, ACL{6, 7, 4, 4, nil}, ACL{None, 7, 4, None, nil}},
		{"names without mask", 0o644, ACL{6, 7, None, 4, named}, ACL{None, None, None, None, named}},
	} {
		got := c.acl
		got.Reduce(0o100000 | c.mode)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// Lists as --fake-super keeps them.
func TestParseFake(t *testing.T) {
	const none = "80000000 "
	for _, c := range []struct {
		name, blob string
		want       ACL
	}{
		{"without entries", none + none + none + none, ACL{6, 5, None, 4, nil}},
		{"full", "07000000 00000000 03000000 01000000", ACL{7, 0, 3, 1, nil}},
		{"named, in the order in which they are", none + "04000000 06000000" + none + "4d000000 04000000 d2040000 06000080 ffffffff 00000080",
			ACL{6, 4, 6, 4, []Named{{77, 4, true}, {1234, 6, false}, {4294967295, 0, false}}}},
	} {
		got, err := ParseFake(blob(t, c.blob), 0o654)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
	for name, text := range map[string]string{
		"empty":                "",
		"short":                none + none + none + "800000",
		"half an entry":        none + none + none + none + "01000000",
		"permission":           none + "08000000" + none + none,
		"named permission":     none + none + none + none + "01000000 08000080",
		"something else in it": none + none + none + none + "01000000 04000040",
	} {
		if a, err := ParseFake(blob(t, text), 0o654); err != ErrSyntax {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}
