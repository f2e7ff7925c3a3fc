package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rrserve/internal/rrtest"
)

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // what the tests write must not be too open
	testscript.Main(m, map[string]func(){"without": without})
}

// TestScript runs the binary as it is released: one with cgo, such as this test
// may be, cannot confine itself.
func TestScript(t *testing.T) {
	bin := t.TempDir()
	if err := rrtest.Build(filepath.Join(bin, "rrserve")); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+":"+env.Getenv("PATH"))
			env.Setenv(unitVariable, "") // that of this machine is somebody else's
			if os.Geteuid() == 0 {       // only root may look into the script's directory
				env.Setenv("RRSERVE_READ_ALL", "true")
			}
			return nil
		},
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"port": port, "waitfor": waitFor},
	})
}

// waitFor FILE REGEXP waits until a growing file has a match.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE REGEXP")
	}
	match(ts, args[0], args[1])
}

// port FILE waits until the log in FILE names the listening address and sets
// $PORT to its port.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port FILE")
	}
	_, port, err := net.SplitHostPort(match(ts, args[0], `listening"?,?.*"?address"?[=:]"?([^" ]+)`))
	ts.Check(err)
	ts.Setenv("PORT", port)
}

func match(ts *testscript.TestScript, file, expr string) string {
	re := regexp.MustCompile(expr)
	for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(file))
		if m := re.FindSubmatch(data); err == nil && m != nil {
			return string(m[len(m)-1])
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never matched %s:\n%s", file, expr, data)
		}
	}
}
