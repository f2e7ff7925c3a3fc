package sshsrv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/crypto/ssh"
)

// errClosed is the failure of a write to a channel that is closed, which x/crypto
// calls io.EOF, and the cause with which the context of its command ends.
var errClosed = errors.New("channel closed")

// session is one session channel (RFC 4254 section 6). It runs one command.
type session struct {
	*conn
	ch       ssh.Channel
	started  bool          // a command or a refusal is under way
	terminal bool          // lines on stderr need a carriage return
	gone     chan struct{} // closed when the client has closed the channel
}

// serve answers the channel's requests until the client closes it.
func (s *session) serve(ctx context.Context, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	for r := range requests {
		run := s.answer(r, func() { cancel(nil) })
		r.Reply(run != nil || r.Type == "pty-req" && !s.started, nil)
		if run == nil {
			continue
		}
		s.started = true
		go func() {
			defer close(done)
			defer s.recovered("session")
			s.finish(run(ctx))
		}()
	}
	close(s.gone)
	cancel(errClosed)
	s.ch.Close()
	if s.started {
		<-done
	}
}

// answer returns what is to be run for a request, nil for a request that is
// refused: "env", "auth-agent-req@openssh.com", "x11-req", "signal" and all
// others.
func (s *session) answer(r *ssh.Request, abort func()) func(context.Context) int {
	if s.started {
		return nil
	}
	switch r.Type {
	case "exec":
		var exec struct{ Command string }
		if ssh.Unmarshal(r.Payload, &exec) != nil {
			return nil
		}
		if len(exec.Command) > maxCommand {
			return s.say("the command is too long", StatusRefused)
		}
		return func(ctx context.Context) int { return s.exec(ctx, exec.Command, abort) }
	case "shell", "subsystem":
		s.complain(slog.LevelInfo, "refused request", "type", r.Type, "key", s.key.Name, "code", codeShell)
		return s.say(s.srv.cfg.ShellAnswer, StatusRefused)
	case "pty-req":
		// There is no terminal. A client that asks for one has put its own
		// into raw mode; told no, ssh prints a complaint above our answer.
		s.terminal = true
	}
	return nil
}

// say returns a command that prints one line.
func (s *session) say(text string, status int) func(context.Context) int {
	return func(context.Context) int {
		fmt.Fprintf(s.stderr(), "%s\n", text)
		return status
	}
}

// exec runs the handler in a session slot.
func (s *session) exec(ctx context.Context, command string, abort func()) int {
	limit, n, ok := s.srv.sessions.take(s.key)
	if !ok {
		s.srv.count.overLimit.Add(1)
		s.complain(slog.LevelWarn, "refused: too many sessions "+limit, "limit", n, "key", s.key.Name, "code", codeLimit)
		return s.say("too many sessions; try again later ["+codeLimit+"]", StatusBusy)(ctx)
	}
	defer s.srv.sessions.leave(s.key)
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() { s.cut(done) })
	defer stop()
	x := &Exec{
		Command:       command,
		User:          s.ssh.User(),
		Key:           s.key,
		Remote:        s.remote,
		ClientVersion: string(s.ssh.ClientVersion()),
		Stdin:         reader{s.ch, &s.net.budget},
		Stdout:        writer{s.ch},
		Stderr:        s.stderr(),
		Abort:         abort,
	}
	s.begin(x)
	defer s.end(x)
	return s.handle(ctx, x)
}

// handle calls the handler; a panic there is logged and ends this session only.
func (s *session) handle(ctx context.Context, x *Exec) (status int) {
	defer func() {
		if r := recover(); r != nil {
			s.panicked("session", r, "key", s.key.Name, "command", clip(x.Command, maxLogged))
			s.say("internal error", StatusPanic)(ctx)
			status = StatusPanic
		}
	}()
	return s.srv.cfg.Handler(ctx, x)
}

// cut closes the channel under a handler whose context ended. Reads and writes
// fail when the client has answered; one that does not answer loses its
// connection.
func (s *session) cut(done <-chan struct{}) {
	timer := time.AfterFunc(closeGrace, func() { s.net.Close() })
	defer timer.Stop()
	s.ch.Close()
	select {
	case <-s.gone:
	case <-done:
	}
}

// finish reports the exit status and closes the channel.
func (s *session) finish(status int) {
	s.ch.CloseWrite()
	s.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
	s.ch.Close()
}

func (s *session) stderr() io.Writer {
	if s.terminal {
		return crlfWriter{s.ch.Stderr()}
	}
	return writer{s.ch.Stderr()}
}

// reader and writer are all of a channel that a handler gets to see. What is
// read pays for what comes next.
type reader struct {
	r      io.Reader
	budget *budget
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.budget.earn(n * inputWorth)
	return n, err
}

type writer struct{ w io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err == io.EOF {
		err = errClosed
	}
	return n, err
}

// crlfWriter ends lines as a terminal in raw mode needs it.
type crlfWriter struct{ w io.Writer }

func (w crlfWriter) Write(p []byte) (int, error) {
	if _, err := (writer{w.w}).Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
