package sshsrv

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// errKey is the answer to a key that may not log in.
var errKey = errors.New("key not authorized")

// errUser is the answer to a user name that may not log in.
var errUser = errors.New("user not accepted")

// authorizedKeyData is the key under which the key that logged in travels in
// ssh.Permissions.
type authorizedKeyData struct{}

func acceptedKey(p *ssh.Permissions) AuthorizedKey {
	return p.ExtraData[authorizedKeyData{}].(AuthorizedKey)
}

// login is the authentication of one connection. Its messages are in words.go.
type login struct {
	*conn
	offered ssh.PublicKey // refused and not yet logged
	user    string        // last one that was named
	named   bool          // there was one, be it ""
	tried   bool          // and something other than "none"
	invalid bool          // user may not log in, whatever the key
}

// config is the server's configuration with this connection's callbacks and
// policy, and with the ciphers for a client that begins with the given line.
func (l *login) config(client string) *ssh.ServerConfig {
	cfg := l.srv.ssh
	cfg.Ciphers = l.policy.ciphers(client)
	cfg.MaxAuthTries = l.policy.MaxAuthTries
	cfg.PublicKeyCallback = l.offer
	cfg.VerifiedPublicKeyCallback = l.accept
	cfg.AuthLogCallback = l.logAttempt
	return &cfg
}

// offer answers whether a key is worth a signature. It decides nothing: a
// client may offer keys that it does not hold.
func (l *login) offer(m ssh.ConnMetadata, pub ssh.PublicKey) (*ssh.Permissions, error) {
	l.user, l.named, l.tried = clip(m.User(), maxUser), true, true
	_, err := l.find(m.User(), pub)
	if err != nil {
		l.offered = pub
	}
	return nil, err
}

// accept decides, once the client has proved to hold the key.
func (l *login) accept(m ssh.ConnMetadata, pub ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
	key, err := l.find(m.User(), pub)
	if err != nil {
		l.offered = pub
		return nil, err
	}
	return &ssh.Permissions{ExtraData: map[any]any{authorizedKeyData{}: key}}, nil
}

func (l *login) find(user string, pub ssh.PublicKey) (AuthorizedKey, error) {
	if want := l.policy.User; want != "" && user != want || len(user) > maxUser {
		return AuthorizedKey{}, errUser
	}
	reason := errKey
	for _, k := range l.srv.cfg.AuthorizedKeys() {
		key, err := k.admits(pub, user, l.remote.Addr(), time.Now())
		switch {
		case err == nil:
			return key, nil
		case reason == errKey:
			reason = err
		}
	}
	return AuthorizedKey{}, reason
}

// methods are the authentication methods that have a name of their own in the
// log (RFC 4252, 4256, 4462).
var methods = []string{"publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic"}

// logAttempt is called after each attempt.
func (l *login) logAttempt(m ssh.ConnMetadata, method string, err error) {
	l.user, l.named = clip(m.User(), maxUser), true
	if err == nil || method == "none" { // "none" asks which methods there are
		return
	}
	l.tried = true
	if !slices.Contains(methods, method) {
		method = "unknown"
	}
	offered := l.offered
	l.offered = nil
	log := l.log.With("user", l.user)
	if l.invalid = errors.Is(err, errUser); l.invalid {
		log.Info("Invalid user " + visible(l.user) + " from " + l.peer())
		return
	}
	if !errors.Is(err, errKey) {
		log = log.With("err", err)
	}
	words := "Failed " + method + " for " + l.name() + " from " + l.peer() + " ssh2"
	if offered == nil {
		log.Info(words)
		return
	}
	kind, fingerprint := keyTypeName(offered), ssh.FingerprintSHA256(offered)
	log.Info(words+": "+kind+" "+fingerprint, "type", kind, "fingerprint", fingerprint)
}

// tooMany is how x/crypto ends a connection that has used up MaxAuthTries.
const tooMany = "too many authentication"

// ended says why nobody logged in, and what that costs the source.
func (l *login) ended(err error) {
	var negotiation *ssh.AlgorithmNegotiationError
	var auth *ssh.ServerAuthError
	var network net.Error
	log := l.log
	if l.named {
		log = log.With("user", l.user)
	}
	switch {
	case l.net.flooded.Load():
		l.srv.count.flooding.Add(1)
		l.srv.penalize(l.conn, penaltyGrace)
		log.Info("Disconnecting "+l.who()+": "+errFlood.Error()+" [preauth]", "err", errFlood)
		return
	case errors.As(err, &network) && network.Timeout():
		l.srv.count.timedOut.Add(1)
		l.srv.penalize(l.conn, penaltyGrace)
		log.Info("Timeout before authentication for " + l.peer())
		return
	case l.tried:
		l.srv.penalize(l.conn, penaltyAuthFail)
	default:
		l.srv.penalize(l.conn, penaltyNoAuth)
	}
	if !errors.As(err, &auth) && !errors.As(err, &network) && !errors.Is(err, io.EOF) {
		log = log.With("err", clip(err.Error(), maxLogged))
	}
	switch {
	case errors.As(err, &negotiation):
		log.Info("Unable to negotiate with " + l.peer() + " [preauth]")
	case l.tried && strings.Contains(err.Error(), tooMany):
		log.Info("maximum authentication attempts exceeded for " + l.name() + " from " + l.peer() + " ssh2 [preauth]")
	default:
		log.Info("Connection closed by " + l.who() + " [preauth]")
	}
}
