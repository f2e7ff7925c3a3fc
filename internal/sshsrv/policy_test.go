package sshsrv

import (
	"io"
	"testing"
)

// A new policy holds for new logins, and for seats; a command goes on with what its
// connection began with.
func TestSetPolicy(t *testing.T) {
	s := start(t, cat, nil)
	ch, status := s.open(s.dial())
	request(t, ch, "exec", "cat")
	if err := s.server.SetPolicy(Policy{Ciphers: []string{"none"}, User: "nobody"}); err == nil {
		t.Error("a cipher that is none is accepted")
	}
	if got := s.ssh("u@127.0.0.1", "cat"); got.Status != 0 {
		t.Errorf("after a policy that was refused: %+v", got)
	}
	if err := s.server.SetPolicy(Policy{User: "backup", MaxSessions: 1}); err != nil {
		t.Fatal(err)
	}
	if got := s.ssh("u@127.0.0.1", "cat"); got.Status != 255 {
		t.Errorf("a user who is not let in any more: %+v", got)
	}
	if got := s.ssh("backup@127.0.0.1", "cat"); got.Status != StatusBusy {
		t.Errorf("more sessions than there may be by now: %+v", got)
	}
	io.WriteString(ch, "still here")
	ch.CloseWrite()
	if out, err := io.ReadAll(ch); string(out) != "still here" || err != nil {
		t.Errorf("the running command: %q, %v", out, err)
	}
	if got := <-status; got != 0 {
		t.Errorf("the running command: status %d", got)
	}
	if got := s.ssh("backup@127.0.0.1", "cat"); got.Status != 0 {
		t.Errorf("when it has ended: %+v", got)
	}
}
