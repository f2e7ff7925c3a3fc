package test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

var printedCommand = regexp.MustCompile(`(?m)^ +rsync -azh --stats -e 'ssh (-p [0-9]+)' (\S+) /path/to/backup/$`)

// TestIPv6 pulls over IPv6, by the command that the server prints, and over both
// from one that listens on both. An IPv4 address on a socket for both is still one.
func TestIPv6(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Fatalf("no IPv6 on loopback (sysctl net.ipv6.conf.lo.disable_ipv6=0 gives it back): %v", err)
	} else {
		ln.Close()
	}
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/src")
	tr.File("file", "content")
	tr.Done()
	var lines []string
	for key, from := range map[string]string{"four": "127.0.0.1", "six": "::1", "mapped": "::ffff:127.0.0.1"} {
		check(t, rrtest.NewKey(dir+"/"+key))
		pub, err := os.ReadFile(dir + "/" + key + ".pub")
		check(t, err)
		lines = append(lines, fmt.Sprintf("from=%q %s", from, pub))
	}
	check(t, os.WriteFile(dir+"/keys", []byte(strings.Join(lines, "")), 0o644))
	start := func(listen string) *rrtest.Server {
		return rrtest.Rrserve(t, dir+"/src", rrtest.WithArgs("--authorized-key", dir+"/keys", "--listen", listen))
	}

	s := start("[::1]:0")
	m := logged(t, s, printedCommand)
	if m[2] != "rrserve@[::1]:*" {
		t.Fatalf("the command for the other machine: %q", m)
	}
	via := s.Via(t, s.Addr, dir+"/six")
	text, err := os.ReadFile(via.SSHConfig)
	check(t, err)
	check(t, os.WriteFile(via.SSHConfig, []byte(strings.Replace(string(text), "Host "+rrtest.Host+"\n", "Host *\n", 1)), 0o644))
	dst := rrtest.TempDir(t)
	client := rrtest.Client{Server: via}
	res, err := client.Exec(client.RsyncCommand("-azh", "--stats", "-e", "ssh -F "+via.SSHConfig+" "+m[1], m[2], dst)...)
	if got, _ := os.ReadFile(dst + "/file"); err != nil || res.Code != 0 || string(got) != "content" {
		t.Errorf("the command for the other machine: %v, %v", err, res)
	}

	s = start("[::]:0")
	_, port, err := net.SplitHostPort(s.Addr)
	check(t, err)
	for _, tt := range []struct {
		host, key string
		want      bool
	}{
		{"127.0.0.1", "four", true},
		{"127.0.0.1", "mapped", true},
		{"127.0.0.1", "six", false},
		{"::1", "six", true},
		{"::1", "four", false},
	} {
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s.Via(t, net.JoinHostPort(tt.host, port), dir+"/"+tt.key), dst, "-a", "rr:")
		got, _ := os.ReadFile(dst + "/file")
		if ok := res.Code == 0 && string(got) == "content"; ok != tt.want {
			t.Errorf("key %s from %s: %v, want success: %v", tt.key, tt.host, res, tt.want)
		}
	}
	s.Stop()
	for _, want := range []string{`"Accepted publickey for \S+ from 127\.0\.0\.1 port .*" from=127\.0\.0\.1 `, `"Accepted publickey for \S+ from ::1 port .*" from=::1 `} {
		if !regexp.MustCompile(want).MatchString(s.Log()) {
			t.Errorf("the log does not say %s", want)
		}
	}
}
