//go:build unix

package snapshot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"
)

// start runs a command until it has printed the path of its snapshot. drop
// closes its input, by which it is told to clean up, and waits for it.
func start(c Command, log *slog.Logger) (snapshot string, drop func(), err error) {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), "RRSERVE_ROOT="+c.Root)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	ended := make(chan struct{})
	drop = func() {
		stdin.Close()
		select {
		case <-ended:
			return
		case <-time.After(c.Timeout):
		}
		log.Error("the snapshot command did not end", "root", c.Root, "waited", c.Timeout)
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	line := make(chan string, 1)
	go func() {
		defer close(ended)
		line <- firstLine(stdout)
		io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			log.Warn("the snapshot command failed", "root", c.Root, "err", err)
		}
	}()
	select {
	case snapshot = <-line:
		err = checkPath(snapshot, c.Dir)
	case <-time.After(c.Timeout):
		err = fmt.Errorf("no path within %v", c.Timeout)
	}
	if err != nil {
		drop()
		return "", nil, err
	}
	return snapshot, drop, nil
}

// firstLine is the first line of r, "" if it is too long or does not come.
func firstLine(r io.Reader) string {
	text, err := bufio.NewReader(io.LimitReader(r, maxLine/2)).ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(text, "\n")
}

// checkPath makes sure that a snapshot lies where the server may read: it was
// promised that nothing outside dir is.
func checkPath(snapshot, dir string) error {
	switch {
	case snapshot == "":
		return errors.New("the command printed no path")
	case snapshot != path.Clean(snapshot) || snapshot != dir && !strings.HasPrefix(snapshot, strings.TrimSuffix(dir, "/")+"/"):
		return fmt.Errorf("the command printed %q; allowed is a clean path below %s", snapshot, dir)
	}
	return nil
}
