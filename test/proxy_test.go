package test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

// TestProxyProtocol pulls through a load balancer that says whom a connection is
// from, and past it, from a server that believes one balancer, and from one that
// believes another.
func TestProxyProtocol(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/src")
	tr.File("file", "content")
	tr.Done()
	check(t, os.Mkdir(dir+"/keys.d", 0o755))
	for _, name := range []string{"near", "anywhere"} {
		check(t, rrtest.NewKey(dir+"/"+name))
		check(t, os.Rename(dir+"/"+name+".pub", dir+"/keys.d/"+name+".pub"))
	}
	config := fmt.Sprintf("keys_dir = %q\n[clients.near]\nfrom = [\"192.0.2.0/24\"]\n", dir+"/keys.d")
	check(t, os.WriteFile(dir+"/rrserve.toml", []byte(config), 0o644))
	start := func(from string) *rrtest.Server {
		return rrtest.Rrserve(t, dir+"/src", rrtest.WithArgs("--config", dir+"/rrserve.toml", "--proxy-protocol-from", from))
	}
	balanced, elsewhere := start("127.0.0.0/8"), start("198.51.100.0/24")
	pulls := func(s *rrtest.Server, header, key string, want bool) {
		t.Helper()
		addr := s.Addr
		if header != "" {
			addr = relay{header: header}.listen(t, addr)
		}
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s.Via(t, addr, dir+"/"+key), dst, "-a", "rr:")
		text, _ := os.ReadFile(dst + "/file")
		if got := res.Code == 0 && string(text) == "content"; got != want {
			t.Errorf("%s behind %q: %v, want success: %v", key, header, res, want)
		}
	}
	const (
		near = "PROXY TCP4 192.0.2.7 127.0.0.1 5555 22\r\n"
		far  = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x15\xb3\x00\x16" // 203.0.113.9:5555
	)
	pulls(balanced, near, "near", true)
	pulls(balanced, far, "near", false)
	pulls(balanced, far, "anywhere", true)
	pulls(balanced, "", "anywhere", false)
	pulls(elsewhere, "", "anywhere", true)
	pulls(elsewhere, near, "near", false)

	balanced.Stop()
	for _, want := range []string{
		`msg=finished from=192.0.2.7 port=5555 key=near `, `from=203.0.113.9 port=5555 proxy=127.0.0.1 user=`,
		`msg="refused: no PROXY header from one who has to send it" from=127.0.0.1`,
	} {
		if !strings.Contains(balanced.Log(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	elsewhere.Stop()
	if log := elsewhere.Log(); strings.Contains(log, "192.0.2") {
		t.Errorf("a header from somebody is believed:\n%s", log)
	}
}
