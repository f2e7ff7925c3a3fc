package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

// TestMovingOver serves an authorized_keys file as it stands on machines with
// sshd and rrsync, six lines, and a directory of keys with a configuration: each
// key gets its own directory, and no other.
func TestMovingOver(t *testing.T) {
	dir := rrtest.TempDir(t)
	for _, name := range []string{"one", "two", "three", "four", "five", "default"} {
		tr := rrtest.NewTree(t, dir+"/"+name)
		tr.File("mine", name)
		tr.File("sub/file", name)
		tr.Done()
	}
	keys := make(map[string]string)
	for _, name := range []string{"one", "two", "three", "four", "away", "push", "five", "other"} {
		check(t, rrtest.NewKey(dir+"/key-"+name))
		pub, err := os.ReadFile(dir + "/key-" + name + ".pub")
		check(t, err)
		keys[name] = strings.TrimSpace(string(pub))
	}
	lines := fmt.Sprintf(`# the machines that fetch from here
command="rrsync -ro %[1]s/one",restrict %[2]s
command="/usr/bin/rrsync -ro -no-lock %[1]s/two",no-pty,no-port-forwarding,no-agent-forwarding,no-X11-forwarding %[3]s
restrict,from="127.0.0.0/8,::1",command="rrsync -ro -absolute %[1]s/three" %[4]s
command="rrserve -ro -munge \"%[1]s/four\"",expiry-time="29991231" %[5]s
command="rrsync -ro %[1]s/one",from="192.0.2.0/24" %[6]s
command="rrsync %[1]s/one" %[7]s
`, dir, keys["one"], keys["two"], keys["three"], keys["four"], keys["away"], keys["push"])
	check(t, os.WriteFile(dir+"/authorized_keys", []byte(lines), 0o644))
	check(t, os.Mkdir(dir+"/keys.d", 0o755))
	check(t, os.WriteFile(dir+"/keys.d/nas.pub", []byte(keys["five"]+"\n"), 0o644))
	check(t, os.WriteFile(dir+"/keys.d/other.pub", []byte(keys["other"]+"\n"), 0o644))
	config := fmt.Sprintf("keys_dir = %q\n[roots.five]\npath = %q\n[clients.nas]\nroot = \"five\"\nmax_sessions = 3\nbwlimit = \"50M\"\n", dir+"/keys.d", dir+"/five")
	check(t, os.WriteFile(dir+"/rrserve.toml", []byte(config), 0o644))
	s := rrtest.Rrserve(t, dir+"/default", rrtest.WithArgs("--authorized-key", dir+"/authorized_keys", "--config", dir+"/rrserve.toml"))

	pull := func(key string, args ...string) (rrtest.Result, string) {
		t.Helper()
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s.WithKey(t, dir+"/key-"+key), dst, args...)
		text, _ := os.ReadFile(filepath.Join(dst, "mine"))
		return res, string(text)
	}
	for _, tt := range []struct{ key, source, want string }{
		{"one", "rr:", "one"},
		{"two", "rr:/", "two"},
		{"three", "rr:", "three"},
		{"three", "rr:" + dir + "/three/", "three"},
		{"four", "rr:*", "four"},
		{"five", "rr:", "five"},
		{"other", "rr:", "default"},
	} {
		if res, got := pull(tt.key, "-a", tt.source); res.Code != 0 || got != tt.want {
			t.Errorf("%s %s: got %q, want %q: %v", tt.key, tt.source, got, tt.want, res)
		}
	}
	const denied = 255 // ssh's own, or 12 if rsync has said something by then
	for _, tt := range []struct {
		key, source string
		code        int
	}{
		{"away", "rr:", 255},                   // from= elsewhere
		{"push", "rr:", 255},                   // the line would have let it write
		{"one", "rr:" + dir + "/two/mine", 23}, // no other's directory
		{"one", "rr:" + dir + "/one/mine", 23}, // absolute only where it was said
		{"five", "rr:../default/", 1},
	} {
		if res, got := pull(tt.key, "-a", tt.source); res.Code != tt.code && (tt.code != denied || res.Code != 12) || got != "" {
			t.Errorf("%s %s: got %q and %v, want status %d", tt.key, tt.source, got, res, tt.code)
		}
	}
	if log := s.Log(); !strings.Contains(log, `line=7 reason="without -ro the client could write, and rrserve is read-only; add -ro"`) {
		t.Error("the log does not say why the last line was refused")
	}
	// A key is added and one taken away, without a restart.
	check(t, os.Rename(dir+"/keys.d/nas.pub", dir+"/keys.d/nas.old"))
	if res, _ := pull("five", "-a", "rr:"); res.Code != 255 && res.Code != 12 {
		t.Errorf("a key that was taken away: %v", res)
	}
	check(t, os.WriteFile(dir+"/keys.d/pusher.pub", []byte(keys["push"]+"\n"), 0o644))
	if res, got := pull("push", "-a", "rr:"); res.Code != 0 || got != "default" {
		t.Errorf("a key that was added: %v", res)
	}
}

// A certificate's force-command was accepted, and its holder saw all of --root.
func TestForcedByCertificate(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/tree")
	tr.File("mine", "all")
	tr.File("sub/mine", "sub")
	tr.Done()
	check(t, rrtest.NewKey(dir+"/ca"))
	authority, err := os.ReadFile(dir + "/ca.pub")
	check(t, err)
	check(t, os.WriteFile(dir+"/authorized_keys", append([]byte(`cert-authority,principals="backup" `), authority...), 0o644))
	s := rrtest.Rrserve(t, dir+"/tree", rrtest.WithArgs("--authorized-key", dir+"/authorized_keys"))
	for i, tt := range []struct{ command, want string }{
		{"", "all"},
		{"rrsync -ro " + dir + "/tree/sub", "sub"},
		{"rrsync " + dir + "/tree/sub", ""}, // it could write
		{"rrsync -ro " + dir, ""},           // more than the server serves
		{"/bin/false", ""},
	} {
		key := fmt.Sprintf("%s/key-%d", dir, i)
		check(t, rrtest.NewKey(key))
		sign := exec.Command("ssh-keygen", "-q", "-s", dir+"/ca", "-I", "pi", "-n", "backup", "-O", "force-command="+tt.command, key+".pub")
		if tt.command == "" {
			sign.Args = slices.Delete(sign.Args, len(sign.Args)-3, len(sign.Args)-1)
		}
		if out, err := sign.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s.WithKey(t, key), dst, "-a", "rr:")
		got, _ := os.ReadFile(filepath.Join(dst, "mine"))
		if string(got) != tt.want || (res.Code == 0) != (tt.want != "") {
			t.Errorf("%q: got %q, want %q: %v", tt.command, got, tt.want, res)
		}
	}
}
