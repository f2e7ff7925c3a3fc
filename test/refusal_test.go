package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

// TestRefusals are the requests that rrserve answers with a clear message, a
// failure, and nothing else. There is no reference to compare with: OpenSSH
// would grant most of them.
func TestRefusals(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	rrtest.RichTree(t, src)
	local := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, local)
	tr.File("file", "from the client\n")
	tr.Done()
	s := rrtest.Rrserve(t, src)
	client := rrtest.Client{Server: s}
	before := take(t, src)
	rsync := func(args ...string) func(*testing.T) rrtest.Result {
		return func(t *testing.T) rrtest.Result { return client.Run(t, args...) }
	}
	ssh := func(program string, args ...string) func(*testing.T) rrtest.Result {
		return func(t *testing.T) rrtest.Result { return client.SSH(t, program, args...) }
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T) rrtest.Result
		code int    // -1: any but 0
		text string // part of standard output or error
	}{
		{"push", rsync("-a", local+"/file", "rr:"), -1, "[E-RO]"},
		{"push into a directory", rsync("-a", local+"/", "rr:sub/"), -1, "[E-RO]"},
		{"push with delete", rsync("-a", "--delete", local+"/", "rr:"), -1, "[E-RO]"},
		{"push over a file", rsync("-a", "--inplace", local+"/file", "rr:a.txt"), -1, "[E-RO]"},
		{"push, dry run", rsync("-an", local+"/file", "rr:"), -1, "[E-RO]"},
		{"remove source files", rsync("-a", "--remove-source-files", "rr:", local+"/to"), -1, "--remove-source-files"},
		{"dot dot", rsync("-a", "rr:../", local+"/to"), -1, "[E-PATH]"},
		{"dot dot inside", rsync("-a", "rr:sub/../../etc", local+"/to"), -1, "[E-PATH]"},
		{"dot dot that stays inside", rsync("-a", "rr:sub/..", local+"/to"), -1, "[E-PATH]"},
		{"dot dot, secluded", rsync("-as", "rr:../../etc/passwd", local+"/to"), -1, "[E-PATH]"},
		{"dot dot, relative", rsync("-aR", "rr:sub/./../..", local+"/to"), -1, "[E-PATH]"},
		{"write device", rsync("-a", "-M--write-devices", "rr:", local+"/to"), -1, "--write-devices"},
		{"remote log file", rsync("-a", "-M--log-file=/tmp/rrserve-must-not-write", "rr:", local+"/to"), -1, "--log-file"},
		{"daemon over ssh", rsync("-a", "rr::module", local+"/to"), -1, ""},
		{"shell", ssh("ssh", "rr"), 1, "rrserve"},
		{"command", ssh("ssh", "rr", "ls"), 127, "[E-COMMAND]"},
		{"command behind rsync", ssh("ssh", "rr", "rsync --server --sender -r . . ; touch sub/pwned"), 1, "[E-QUOTE]"},
		{"substitution", ssh("ssh", "rr", "rsync --server --sender -r . $(touch sub/pwned)"), 1, "[E-QUOTE]"},
		{"terminal", ssh("ssh", "-tt", "rr"), 1, "rrserve"},
		{"subsystem", ssh("ssh", "-s", "rr", "netconf"), -1, ""},
		{"sftp", ssh("sftp", "rr:"), -1, ""},
		{"scp from", ssh("scp", "rr:a.txt", local+"/to"), -1, ""},
		{"scp to", ssh("scp", local+"/file", "rr:"), -1, ""},
		{"old scp from", ssh("scp", "-O", "rr:a.txt", local+"/to"), -1, ""},
		{"old scp to", ssh("scp", "-O", local+"/file", "rr:"), -1, ""},
		{"forwarding", ssh("ssh", "-W", "127.0.0.1:"+port(s), "rr"), -1, ""},
		{"remote forwarding", ssh("ssh", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "rr", "true"), -1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			os.RemoveAll(local + "/to")
			res := c.run(t)
			if c.code >= 0 && res.Code != c.code || res.Code == 0 {
				t.Errorf("exit code %d, want %d (-1: a failure)", res.Code, c.code)
			}
			if !strings.Contains(res.Stdout+res.Stderr, c.text) {
				t.Errorf("the message lacks %q", c.text)
			}
			if names, _ := filepath.Glob(local + "/to/*"); len(names) > 0 {
				t.Errorf("the client got %q", names)
			}
			if d := rrtest.Diff(before, take(t, src)); len(d) > 0 {
				t.Errorf("the served tree was changed:\n%s", strings.Join(d, "\n"))
			}
			if t.Failed() {
				t.Log(res)
			}
		})
	}
	if _, err := os.Lstat("/tmp/rrserve-must-not-write"); err == nil {
		t.Error("a log file was written")
	}
}

func port(s *rrtest.Server) string {
	_, p, _ := strings.Cut(s.Addr, ":")
	return p
}

// TestOtherKey logs in with a key that is not authorized.
func TestOtherKey(t *testing.T) {
	src := rrtest.TempDir(t) + "/src"
	rrtest.NewTree(t, src).Done()
	s := rrtest.UnderTest(t, src)
	key := t.TempDir() + "/other"
	check(t, rrtest.NewKey(key))
	dst := rrtest.TempDir(t)
	res := rrtest.Run(t, s.WithKey(t, key), dst, "-a", "rr:")
	// ssh's status, or that of a broken stream where rsync saw its end first: with
	// sshd too it is now one, now the other.
	if res.Code != 255 && res.Code != 12 || !strings.Contains(res.Stderr, "Permission denied (publickey)") {
		t.Error(res)
	}
}

// TestEscapingLinks follows links that lead out of the tree: they are reported
// as links without a target, what else was asked for arrives.
func TestEscapingLinks(t *testing.T) {
	dir := rrtest.TempDir(t)
	src := dir + "/src"
	rrtest.RichTree(t, src)
	check(t, os.WriteFile(dir+"/outside.txt", []byte("secret\n"), 0o644))
	s := rrtest.Rrserve(t, src)
	for _, c := range []struct {
		name, line string
		wanted     []string // names that must arrive
	}{
		{"copy links", "-aL rr:escape rr:sub", []string{"sub/x.txt"}},
		{"copy unsafe links", "-a --copy-unsafe-links rr:escape rr:sub", []string{"sub/x.txt"}},
		{"copy dir links", "-ak rr:escape rr:sub", []string{"sub/x.txt", "escape/updir"}},
		{"argument", "-aL rr:escape/up rr:a.txt", []string{"a.txt"}},
		{"below a link to a directory", "-a rr:escape/updir/outside.txt rr:a.txt", []string{"a.txt"}},
		{"slash after a link to a directory", "-a rr:escape/absolutedir/ rr:a.txt", []string{"a.txt"}},
		{"magic link", "-a rr:escape/proc/etc/hostname rr:a.txt", []string{"a.txt"}},
		{"relative", "-aR rr:escape/updir/outside.txt rr:a.txt", []string{"a.txt"}},
		{"no implied dirs", "-aR --no-implied-dirs rr:escape/updir/outside.txt rr:a.txt", []string{"a.txt"}},
		{"checksum", "-acL rr:escape rr:sub", []string{"sub/x.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dst := rrtest.ScratchDir(t)
			res := rrtest.Run(t, s, dst+"/", splitWords(c.line)...)
			if res.Code != 23 && c.name != "copy dir links" {
				t.Errorf("exit code %d, want 23", res.Code)
			}
			got := take(t, dst)
			for _, name := range c.wanted {
				if got[name] == "" {
					t.Errorf("%s did not arrive", name)
				}
			}
			for name := range got {
				if info, err := os.Lstat(dst + "/" + name); err == nil && info.Mode().IsRegular() {
					text, err := os.ReadFile(dst + "/" + name)
					check(t, err)
					if string(text) == "secret\n" || strings.Contains(name, "hostname") || strings.Contains(name, "passwd") {
						t.Errorf("%s came out of the tree", name)
					}
				}
			}
			if t.Failed() {
				t.Log(res)
			}
		})
	}
}
