package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// passed is a socket as a service manager leaves it to a child.
func passed(t *testing.T, network, address string) *os.File {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); ln.Close() })
	return f
}

// What the system refuses is said with what to do.
func TestListenHints(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EADDRINUSE:    "--listen :1: address already in use; stop what listens there, or choose another port",
		syscall.EACCES:        "--listen :1: permission denied; a port below 1024 takes root, the capability CAP_NET_BIND_SERVICE, or a socket from systemd",
		syscall.EADDRNOTAVAIL: "--listen :1: cannot assign requested address; no interface of this machine has that address now",
		syscall.EINVAL:        "--listen :1: invalid argument; a link-local address takes its interface, as in [fe80::1%eth0]:2222",
		syscall.EMFILE:        "--listen :1: too many open files",
	} {
		err = &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", err)}
		if got := listenError("--listen", ":1", err).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Who names the IPv4 address of nobody has a firewall for IPv4 only, perhaps.
func TestListenIPv4(t *testing.T) {
	ln, err := listenTCP(t.Context(), "--listen", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ip := ln.Addr().(*net.TCPAddr).IP; ip.To4() == nil {
		t.Errorf("listening on %v", ip)
	}
}

func TestPassedSocket(t *testing.T) {
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		name       string
		pid, count string
		f          *os.File
		ok         bool
		err        string
	}{
		{"a socket", "7", "1", passed(t, "tcp", "127.0.0.1:0"), true, ""},
		{"none", "", "", file, false, ""},
		{"another's", "8", "1", file, false, ""},
		{"several", "7", "2", file, false, `LISTEN_FDS="2": allowed is 1 socket`},
		{"no number", "7", "x", file, false, `LISTEN_FDS="x": allowed is 1 socket`},
		{"a file", "7", "1", file, false, "is no listening socket"},
		{"a local socket", "7", "1", passed(t, "unix", filepath.Join(dir, "s")), false, "of type unix; allowed is TCP"},
	} {
		env := map[string]string{"LISTEN_PID": tt.pid, "LISTEN_FDS": tt.count}
		fd, err := syscall.Dup(int(tt.f.Fd())) // passedSocket closes it
		if err != nil {
			t.Fatal(err)
		}
		ln, err := passedSocket(func(name string) string { return env[name] }, 7, uintptr(fd))
		if (ln != nil) != tt.ok || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, %v", tt.name, ln, err)
		}
		if ln != nil {
			ln.Close()
		}
	}
}

// TestSocketActivation starts the server as systemd does.
func TestSocketActivation(t *testing.T) {
	dir := rrtest.TempDir(t) // within reach of the user that root becomes
	if err := rrtest.Build(dir + "/rrserve"); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=1 exec %[1]s/rrserve --root %[1]s --state-dir %[1]s --authorized-key '%[2]s'`, dir, publicKey)
	start := func(script string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", script)
		cmd.ExtraFiles = []*os.File{passed(t, "tcp", "127.0.0.1:0")}
		return cmd
	}
	cmd := start(script)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.FileListener(cmd.ExtraFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(rrtest.StartTimeout))
	banner := make([]byte, len("SSH-2.0-rrserve"))
	if _, err := io.ReadFull(c, banner); err != nil || string(banner) != "SSH-2.0-rrserve" {
		t.Errorf("%q, %v", banner, err)
	}
	c.Close()
	cmd.Process.Signal(os.Interrupt)
	log, _ := io.ReadAll(stderr)
	if err := cmd.Wait(); err != nil || !strings.Contains(string(log), ln.Addr().String()) {
		t.Errorf("%v\n%s", err, log)
	}

	out, err := start(script + " --listen :2222").CombinedOutput()
	if want := "the address is set in rrserve.socket"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("with --listen: %v, want %q\n%s", err, want, out)
	}
}
