//go:build unix && !nosnapshot

package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"
)

// Check finds out whether the program is there and can be executed.
func (c Command) Check() error {
	_, err := exec.LookPath(c.Args[0])
	return err
}

// Start starts the broker as another process, with the rights that this one has at
// the moment: program with args has to call [Serve] on its standard streams. It ends
// when the Client is closed, or this process ends.
func Start(program string, args []string, commands []Command) (*Client, error) {
	list, err := json.Marshal(commands)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	// What a terminal sends its foreground processes is not for the broker, which
	// has to be there until the last session has ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// It is never waited for: once confined, this process cannot. Its end is that
	// of its output.
	c := newClient(commands, r, w)
	return c, c.say("%s\n", list)
}

// run runs a command until it has printed the path of its snapshot. drop closes its
// input, by which it is told to clean up, and waits for it.
func run(c Command, log *slog.Logger) (snapshot string, drop func(), err error) {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), "RRSERVE_SNAPSHOT_NAME="+c.Root, "RRSERVE_SNAPSHOT_OF="+c.Path, "RRSERVE_SNAPSHOT_DIR="+c.Dir)
	stdout, stderr := &firstLine{found: make(chan string, 1)}, &lines{say: func(text string) {
		log.Info("the snapshot command says", "root", c.Root, "text", text)
	}}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = patience // what it leaves running may have its output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		stdout.end()
		stderr.end()
		ended <- err
	}()
	drop = func() {
		stdin.Close()
		var err error
		select {
		case err = <-ended:
		case <-time.After(c.Timeout):
			log.Error("the snapshot command did not end", "root", c.Root, "waited", c.Timeout)
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			err = <-ended
		}
		if err != nil {
			log.Warn("the snapshot command failed", "root", c.Root, "err", err)
		}
	}
	select {
	case snapshot = <-stdout.found:
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

// checkPath makes sure that a snapshot lies where the server may read: it was
// promised that nothing outside dir is.
func checkPath(snapshot, dir string) error {
	switch {
	case snapshot == "":
		return errors.New("the command printed no path")
	case snapshot != path.Clean(snapshot) || !strings.HasPrefix(snapshot, strings.TrimSuffix(dir, "/")+"/"):
		return fmt.Errorf("the command printed %q; allowed is a clean path below %s", snapshot, dir)
	}
	return nil
}

// firstLine finds the first line of what is written to it: "" if it is too long.
type firstLine struct {
	found chan string // takes one
	begun []byte
	done  bool
}

// end finds no line where none was.
func (f *firstLine) end() {
	if !f.done {
		f.found <- ""
	}
}

func (f *firstLine) Write(p []byte) (int, error) {
	if f.done {
		return len(p), nil
	}
	line, _, whole := bytes.Cut(p, []byte("\n"))
	if f.begun = append(f.begun, line...); len(f.begun) > maxLine/2 {
		f.begun, whole = nil, true
	}
	if whole {
		f.done = true
		f.found <- string(f.begun)
	}
	return len(p), nil
}

// lines says each line of what is written to it, cut to what fits.
type lines struct {
	say   func(string)
	begun []byte
}

func (l *lines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		l.begun = append(l.begun, line[:min(len(line), maxLine)]...)
		if len(l.begun) > maxLine || line[len(line)-1] == '\n' {
			l.end()
		}
	}
	return len(p), nil
}

// end says what is left.
func (l *lines) end() {
	if text := oneLine(string(l.begun)); text != "" {
		l.say(text)
	}
	l.begun = l.begun[:0]
}
