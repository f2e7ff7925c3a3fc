package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rrserve/internal/jail"
	"rrserve/internal/rrsync"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
)

// originalCommand is the variable in which sshd hands over the command that the
// client wants, sshd(8); the kernel bounds its length. No other may matter here:
// with AcceptEnv in sshd_config, clients choose what is in the environment.
const originalCommand = "SSH_ORIGINAL_COMMAND"

// runForced is the forced command of a key of sshd, `rrserve -ro DIR`: one session
// over the standard streams. It returns rsync's exit status, which sshd passes on,
// as it does what is written to standard error; so there is no log.
func runForced(args []string) int {
	status, err := serveForced(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "rrserve: %s\n", oneLine(err))
	}
	return status
}

func serveForced(args []string) (status int, err error) {
	home, err := os.Getwd() // where sshd starts commands
	if err != nil {
		home = ""
	}
	r, err := rrsync.ParseArgs(args, home)
	if err != nil {
		return exitRuntime, err
	}
	command := os.Getenv(originalCommand)
	if command == "" {
		return exitRuntime, errors.New("there is no shell here, only files for rsync, read-only; sshd gave no command (" + originalCommand + ")")
	}
	root := new(access).forced(r)
	c := rsyncproto.Config{Command: command, Probes: true, Idle: sshsrv.DefaultIdle}
	root.configure(&c)
	c.UserName, c.GroupName = newIDFile("/etc/passwd").Names(), newIDFile("/etc/group").Names()

	if err := useStandardStreams(&c); err != nil {
		return exitRuntime, err
	}
	tree, err := jail.Open(root.path)
	if err != nil {
		return rsyncproto.ExitFileSelect, err
	}
	defer tree.Close()
	if err := confineForced(root.path); err != nil {
		return exitRuntime, err
	}
	return serveTree(context.Background(), tree, c).ExitStatus, nil
}

// useStandardStreams makes the process's own streams those of the pull. When the
// client is gone, or a signal says so, the process ends whatever it is at: there is
// nothing to clean up.
func useStandardStreams(c *rsyncproto.Config) error {
	in, out, errOut, err := standardStreams()
	if err != nil {
		return err
	}
	end := func() { os.Exit(rsyncproto.ExitSignal) }
	whenUnread(out, end)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, os.Interrupt)
	go func() {
		<-signals
		end()
	}()
	c.Stdin, c.Stdout, c.Stderr = in, out, errOut
	c.Abort = func() {
		past := time.Unix(1, 0)
		for _, f := range []*os.File{in, out, errOut} {
			_ = f.SetDeadline(past) // fails for a file, on which nobody waits
		}
	}
	return nil
}

// confineForced gives up what the session does not need, before anything of the
// client is looked at. The user is whom sshd chose, who reads what he may: root
// keeps the one capability for that. As for the server, the walls must stand where
// the kernel has them.
func confineForced(root string) error {
	strict := jail.CanConfine() // while seccomp lets the kernel be asked
	dropped := jail.DropPrivileges(nil, jail.CanReadAll())
	box := &jail.Sandbox{Trees: []string{root}, Files: []string{"/etc/passwd", "/etc/group"}}
	proof := jail.NewProof(box)
	defer proof.Close()
	walls := jail.Confine(box)
	if _, err := weigh(walls, proof.Try()); strict {
		return errors.Join(dropped, err)
	}
	return nil
}
