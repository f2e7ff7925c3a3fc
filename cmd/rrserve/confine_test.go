package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rrserve/internal/jail"
)

func TestTargetUser(t *testing.T) {
	for _, tt := range []struct {
		runAs string
		euid  int
		want  *jail.User
		err   string
	}{
		{"", 1000, nil, ""},
		{"1000", 1000, nil, ""},
		{"1001", 1000, nil, "--run-as 1001: only root can become another user, and this is user 1000"},
		{"root", 1000, nil, "--run-as root: only root can become another user, and this is user 1000"},
		{"0", 0, nil, ""},
		{"root", 0, nil, ""},
		{"4242", 0, &jail.User{UID: 4242, GID: 4242}, ""},
		{"4242:4243", 0, &jail.User{UID: 4242, GID: 4243}, ""},
		{"4242:root", 0, &jail.User{UID: 4242, GID: 0}, ""},
		{"root:4243", 0, nil, ""},
		{"no such", 0, nil, `--run-as no such: no user "no such" in /etc/passwd, and not a number`},
		{"4242:no such", 0, nil, `--run-as 4242:no such: no group "no such" in /etc/group, and not a number`},
		{"4242:", 0, nil, `--run-as 4242:: no group "" in /etc/group, and not a number`},
		{"-1", 0, nil, `--run-as -1: no user "-1" in /etc/passwd, and not a number`},
		{"4294967295", 0, nil, `--run-as 4294967295: no user "4294967295" in /etc/passwd, and not a number`},
	} {
		got, err := targetUser(tt.runAs, tt.euid)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if d := cmp.Diff(tt.want, got); d != "" || text != tt.err {
			t.Errorf("%q as %d: %v, %q, want %v, %q", tt.runAs, tt.euid, got, text, tt.want, tt.err)
		}
	}
	if to, err := targetUser("", 0); err != nil || to == nil || to.UID == rootUID {
		t.Errorf("root by default: %v, %v", to, err)
	}
}

// Files of keys below the configuration's directory are read by name, and others
// through the descriptor of the start.
func TestHeldKeys(t *testing.T) {
	second := strings.Replace(publicKey, "vjJ1DHnz", "vjJ1DHnA", 1)
	for _, c := range []struct {
		name   string
		within bool
		change func(path string) error
		want   []string // names of the keys that are let in
	}{
		{"as it was", false, func(string) error { return nil }, []string{"me"}},
		{"edited", false, func(path string) error { return os.WriteFile(path, []byte(publicKey+"\n"+second+"2\n"), 0o644) }, []string{"me", "me2"}},
		{"too open", false, func(path string) error { return os.Chmod(path, 0o666) }, nil},
		{"replaced", false, replace(second + "2\n"), nil},
		{"removed", false, os.Remove, nil},
		{"moved", false, func(path string) error { return os.Rename(path, path+".old") }, nil},
		{"replaced within reach", true, replace(second + "2\n"), []string{"me2"}},
		{"removed within reach", true, os.Remove, nil},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "keys")
		if err := os.WriteFile(path, []byte(publicKey+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		k, err := openKeyring(&options{authorizedKeys: []string{path}}, &access{root: &servedRoot{path: "/"}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		reach := []string{dir + "else", filepath.Join(dir, "keys")}
		if c.within {
			reach = append(reach, dir+"/")
		}
		k.hold(reach)
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, key := range k.Keys() {
			got = append(got, key.Name)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// A link counts for where it leads: that is what the sandbox looks at.
func TestBelow(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config/data", "else"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "keys"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"config/in": "data/keys", "config/out": "../else/keys", "else/in": "../config/data/keys", "alias": "config"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{
		"config/data/keys": true, "config/in": true, "else/in": true, "alias/in": true,
		"config/out": false, "else/keys": false, "config/missing": false,
	} {
		if got := below(filepath.Join(dir, path), []string{dir + "/conf", dir + "/alias"}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// replace puts a new file in the place of the old one, as editors do.
func replace(text string) func(path string) error {
	return func(path string) error {
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}
}

func TestSandboxTree(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	for _, name := range []string{"snapshots/monday", "plain"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"current": "snapshots/monday", "all": "snapshots", "top": "/etc"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for root, want := range map[string]string{
		"plain":      dir + "/plain",
		"current":    dir + "/snapshots",
		"all/monday": dir + "/all/monday", // the link is further up
		"top":        dir + "/top",        // and not the whole of /
	} {
		if got := sandboxTree(filepath.Join(dir, root), log); got != want {
			t.Errorf("%s: %s, want %s", root, got, want)
		}
	}
}
