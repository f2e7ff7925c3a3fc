package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const full = `
root = "/srv"
authorized_key = ["/etc/rrserve/authorized_keys"]
max_sessions = 10
no_probes = true

[roots.photos]
path = "/srv/photos"
munge_links = true
snapshot_cmd = ["/usr/local/sbin/snap", "-v"]
snapshot_dir = "/srv/.snapshots"
snapshot_share = "30s"

[clients.pi]
root = "photos"
from = ["192.168.0.0/16", "!192.168.0.5"]
hours = ["22:00-06:00", "12:00-13:00"]
max_sessions = 2
bwlimit = "1.5M"
stale_after = "26h"
`

func TestParse(t *testing.T) {
	c, err := Parse("f", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := &Client{
		Root: "photos", From: []string{"192.168.0.0/16", "!192.168.0.5"},
		Hours:       []Hours{{22 * 60, 6 * 60}, {12 * 60, 13 * 60}},
		MaxSessions: 2, BWLimit: Rate{3 << 19}, StaleAfter: Duration{26 * time.Hour},
	}
	if diff := cmp.Diff(want, c.Clients["pi"], cmp.AllowUnexported(Hours{}, Rate{}), cmpopts.IgnoreUnexported(Client{})); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
	root := &Root{
		Path: "/srv/photos", MungeLinks: true,
		SnapshotCmd: []string{"/usr/local/sbin/snap", "-v"}, SnapshotDir: "/srv/.snapshots", SnapshotShare: Duration{30 * time.Second},
	}
	if diff := cmp.Diff(root, c.Roots["photos"]); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	given := make(map[string]string)
	for flag, values := range c.Given {
		given[flag] = strings.Join(values, "|")
	}
	wantGiven := map[string]string{"root": "/srv", "authorized-key": "/etc/rrserve/authorized_keys", "max-sessions": "10", "no-probes": "true"}
	if diff := cmp.Diff(wantGiven, given); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"root = \"/srv\"\nmax_session = 3\n", "f:2: unknown key max_session"},
		{"[clients.pi]\n\nstale = \"1h\"\n", "f:3: unknown key clients.pi.stale"},
		{"[client.pi]\n", "f:1: unknown key client"},
		{"max-sessions = 3\n", "f:1: unknown key max-sessions; the names of flags have _ for - here"},
		{"[clients.my-pi]\nstale = \"1h\"\n", "f:2: unknown key clients.my-pi.stale"},
		{"max_sessions = \"many\"\n", "f:1: max_sessions is of type string; allowed is an integer"},
		{"authorized_key = \"k.pub\"\n", `f:1: authorized_key is of type string; allowed is an array of strings, ["..."]`},
		{"listen = 2222\n", `f:1: listen is of type integer; allowed is a string, "..."`},
		{"read_all = \"yes\"\n", "f:1: read_all is of type string; allowed is true or false"},
		{"[clients.pi]\nhours = \"22:00-06:00\"\n", `f:2: clients.pi.hours is of type string; allowed is an array of strings, ["..."]`},
		{"[clients.pi]\nfrom = [1]\n", `f:2: clients.pi.from is of type integer; allowed is a string, "..."`},
		{"[clients]\npi = \"photos\"\n", "f:2: clients.pi is of type string; allowed is a table, [...]"},
		// Numbers went into the fields as they are: bytes and nanoseconds, and a
		// limit below 0 was none.
		{"[clients.pi]\nbwlimit = -2\n", `f: "-2" is not a speed`},
		{"[clients.pi]\nstale_after = 26\n", `f: "26" is not a time`},
		{"[roots.a]\npath = \"/a\"\nsnapshot_timeout = 60\n", `f: "60" is not a time`},
		{"a = \n", "f:1: unexpected character"},
		{"[clients.pi]\nhours = [\"22-06\"]\n", `f:2: "22-06" is not a span of the day; allowed is HH:MM-HH:MM`},
		{"[clients.pi]\nbwlimit = \"fast\"\n", `f:2: "fast" is not a speed; allowed are 1k to 1024G bytes a second, such as 500k, 20M or 1.5G`},
		{"[clients.pi]\nstale_after = \"0s\"\n", `f:2: "0s" is not a time; allowed is more than nothing, such as 90s, 26h or 2h30m`},
		{"[clients.pi]\nroot = \"a\"\n", "f: clients.pi: there is no roots.a"},
		{"[clients.pi]\nmax_sessions = -1\n", "f: clients.pi: max_sessions -1; allowed is 1 and more, or 0 for the server's own limit"},
		{"[clients.pi]\nfrom = [\"home\"]\n", `f: clients.pi: from: "home" is not an address; host names are not looked up`},
		{"[clients.\"a/b\"]\n", "f: clients.a/b: not a name; allowed are up to 64 printable characters without a slash"},
		{"[roots.a]\npath = \"a\"\n", `f: roots.a: path "a"; allowed is an absolute path`},
		{"[roots.a]\npath = \"/a\"\nsnapshot_cmd = [\"snap\"]\n", `f: roots.a: snapshot_cmd "snap"; allowed is a program with an absolute path`},
		{"[roots.a]\npath = \"/a\"\nsnapshot_cmd = [\"/snap\"]\n", `f: roots.a: snapshot_dir ""; allowed is an absolute, clean path`},
		{"[roots.a]\npath = \"/a\"\nsnapshot_cmd = [\"/snap\"]\nsnapshot_dir = \"/\"\n", `f: roots.a: snapshot_dir "/"; allowed is an absolute, clean path`},
		{"[roots.a]\npath = \"/a\"\nsnapshot_cmd = [\"/snap\"]\nsnapshot_dir = \"/s\"\nsnapshot_share = \"2h\"\n", "f: roots.a: snapshot_share and snapshot_timeout; allowed is up to 1h0m0s"},
		{"[roots.a]\npath = \"/a\"\nsnapshot_dir = \"/s\"\n", "f: roots.a: snapshot_cmd is missing"},
		{strings.Repeat("#", MaxFile+1), "f: larger than 1048576 bytes"},
	} {
		_, err := Parse("f", []byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.60q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

// TestNumber is a speed without quotes, in a file of an editor that begins files
// with a byte order mark. The number counted bytes, not KiB.
func TestNumber(t *testing.T) {
	c, err := Parse("f", []byte("\ufeff[clients.pi]\nbwlimit = 2000\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Clients["pi"].BWLimit.KiB(); got != 2000 {
		t.Errorf("%d KiB/s, want 2000", got)
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]int64{"500": 500 << 10, "500k": 500 << 10, "500K": 500 << 10, "20M": 20 << 20, "1.5G": 3 << 29, "1": 1 << 10} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r.bytes != want {
			t.Errorf("%s: %d, %v, want %d", text, r, err, want)
		}
	}
	for _, text := range []string{"", "k", "0", "-1", "1.5X", "1kk", "0.5k", "1e9G", "NaN", "2048G"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: accepted as %d", text, r)
		}
	}
}

func TestHours(t *testing.T) {
	for _, tt := range []struct {
		hours, at string
		want      bool
	}{
		{"22:00-06:00", "21:59", false},
		{"22:00-06:00", "22:00", true},
		{"22:00-06:00", "05:59", true},
		{"22:00-06:00", "06:00", false},
		{"12:00-13:30", "13:29", true},
		{"12:00-13:30", "11:59", false},
		{"18:00-24:00", "23:59", true},
	} {
		var h Hours
		if err := h.UnmarshalText([]byte(tt.hours)); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("15:04", tt.at)
		if err != nil {
			t.Fatal(err)
		}
		c := Client{Hours: []Hours{h}}
		if got := c.Allowed(at); got != tt.want {
			t.Errorf("%s at %s: %v", tt.hours, tt.at, got)
		}
		if h.String() != tt.hours {
			t.Errorf("%s prints as %s", tt.hours, h)
		}
	}
	for _, text := range []string{"", "22:00", "6:00-7:00", "22:00-22:00", "25:00-26:00", "22:00-06:00-07:00"} {
		var h Hours
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
	if !new(Client).Allowed(time.Now()) || !new(Client).Addresses().Allows(netip.Addr{}) {
		t.Error("a client without limits is limited")
	}
}

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"pi@home":                         "pi@home",
		"  me at home ":                   "me at home",
		"a/b\x00c\nd\x1b[31m":             "abcd[31m",
		"..":                              "",
		"\xff\xfe":                        "",
		strings.Repeat("é", 40):           strings.Repeat("é", 32),
		strings.Repeat("a", 63) + " rest": strings.Repeat("a", 63),
	} {
		got := Name(text)
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got != "" && !ValidName(got) {
			t.Errorf("%q is not valid", got)
		}
	}
}
