package rrsync

import (
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    Restriction
		err     string
	}{
		{"rrsync -ro /srv", Restriction{Dir: "/srv"}, ""},
		{"rrserve -ro /srv/", Restriction{Dir: "/srv"}, ""},
		{`/usr/bin/rrsync  -ro "/srv/my backup"`, Restriction{Dir: "/srv/my backup"}, ""},
		{`rrsync -ro /srv/my\ backup`, Restriction{Dir: "/srv/my backup"}, ""},
		{"rrsync -munge -absolute -no-del -no-lock -ro /srv", Restriction{Dir: "/srv", MungeLinks: true, Absolute: true}, ""},
		{"rrsync /srv -ro", Restriction{Dir: "/srv"}, ""},
		{"rrsync -ro /", Restriction{Dir: "/"}, ""},
		{"rrsync -ro -no-overwrite /a//b/../c", Restriction{Dir: "/a/c"}, ""},
		{"rrsync /srv", Restriction{}, "without -ro the client could write, and rrserve is read-only; add -ro"},
		{"rrsync -wo /srv", Restriction{}, "-wo: rrserve is read-only"},
		{"rrsync -ro", Restriction{}, "no directory; allowed is -ro DIR"},
		{"rrsync -ro backup", Restriction{}, `directory "backup" must begin with a slash: there is no home directory that it could lie in`},
		{"rrsync -ro ~/backup", Restriction{}, `directory "~/backup" must begin with a slash: there is no home directory that it could lie in`},
		{"rrsync -ro /a /b", Restriction{}, `two directories, "/a" and "/b"; allowed is one`},
		{"rrsync -rw /a", Restriction{}, `option "-rw" is none of -ro, -wo, -munge, -absolute, -no-del, -no-lock, -no-overwrite`},
		{"check-first.sh rrsync -ro /a", Restriction{}, `a forced command must be "rrsync -ro DIR" or "rrserve -ro DIR"`},
		{"rsync --server --daemon .", Restriction{}, `a forced command must be "rrsync -ro DIR" or "rrserve -ro DIR"`},
		{"", Restriction{}, `a forced command must be "rrsync -ro DIR" or "rrserve -ro DIR"`},
		{"rrsync -ro $HOME", Restriction{}, "a forced command with shell syntax, and no shell runs here"},
		{"rrsync -ro /a; date", Restriction{}, "a forced command with shell syntax, and no shell runs here"},
	} {
		got, err := ParseCommand(tt.command)
		switch {
		case tt.err == "" && (err != nil || got != tt.want):
			t.Errorf("%s: %+v, %v, want %+v", tt.command, got, err, tt.want)
		case tt.err != "" && (err == nil || err.Error() != tt.err):
			t.Errorf("%s: error %v, want %s", tt.command, err, tt.err)
		}
	}
}

func TestParseArgs(t *testing.T) {
	for _, tt := range []struct {
		args string
		call bool
		dir  string
		err  string
	}{
		{"-ro /srv", true, "/srv", ""},
		{"-munge -ro backup/", true, "/home/pi/backup", ""},
		{"-ro .", true, "/home/pi", ""},
		{"/srv -ro", true, "/srv", ""},
		{"/srv", true, "", "without -ro the client could write, and rrserve is read-only; add -ro"},
		{"-wo /srv", true, "", "-wo: rrserve is read-only"},
		{"--root /srv", false, "", `option "--root" is none of -ro, -wo, -munge, -absolute, -no-del, -no-lock, -no-overwrite`},
		{"version", false, "", "without -ro the client could write, and rrserve is read-only; add -ro"},
		{"", false, "", "no directory; allowed is -ro DIR"},
	} {
		args := strings.Fields(tt.args)
		if got := IsCall(args); got != tt.call {
			t.Errorf("%q: a call: %v", tt.args, got)
		}
		r, err := ParseArgs(args, "/home/pi")
		switch {
		case tt.err == "" && (err != nil || r.Dir != tt.dir):
			t.Errorf("%q: %+v, %v, want %s", tt.args, r, err, tt.dir)
		case tt.err != "" && (err == nil || err.Error() != tt.err):
			t.Errorf("%q: error %v, want %s", tt.args, err, tt.err)
		}
	}
}
