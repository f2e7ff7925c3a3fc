package sshsrv

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the shortest RSA key accepted from a user or as a host key
// (NIST SP 800-131A; OpenSSH's own limit is 1024).
const minRSABits = 2048

// AuthorizedKey is a public key that may log in.
type AuthorizedKey struct {
	// Name is the comment of the key's line, "" if it has none.
	Name string
	// Type is the key's type as sshd prints it: "ED25519", "RSA", "ECDSA",
	// "ED25519-SK" or "ECDSA-SK".
	Type string
	// Fingerprint is "SHA256:" and 43 characters of base64.
	Fingerprint string

	blob string // the key in wire format; "" matches nothing
}

// matches reports whether pub is the key k.
func (k AuthorizedKey) matches(pub ssh.PublicKey) bool {
	return k.blob != "" && k.blob == string(pub.Marshal())
}

// RefusedLine is a line of an authorized_keys file that lets nobody in.
type RefusedLine struct {
	Line   int // counted from 1
	Reason string
}

func (l RefusedLine) String() string { return fmt.Sprintf("line %d: %s", l.Line, l.Reason) }

// restrictions are the options of sshd(8) that only take away what this server
// does not have anyway. "no-touch-required" is not among them: it gives.
var restrictions = []string{
	"restrict",
	"no-agent-forwarding",
	"no-port-forwarding",
	"no-pty",
	"no-user-rc",
	"no-x11-forwarding",
}

// ParseAuthorizedKeys reads the format of sshd(8), AUTHORIZED_KEYS FILE FORMAT:
// one key per line, empty lines and lines that begin with # ignored. A line
// that cannot be used, or whose options ask for something that is not enforced
// here, is refused with a reason; the other lines are valid nevertheless. A key
// that occurs twice is listed once.
func ParseAuthorizedKeys(data []byte) (keys []AuthorizedKey, refused []RefusedLine) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows add it
	if reason := notPublicKeys(data); reason != "" {
		return nil, []RefusedLine{{1, reason}}
	}
	number := 0
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := parseAuthorizedKey(line)
		switch {
		case err != nil:
			refused = append(refused, RefusedLine{number, err.Error()})
		case !slices.ContainsFunc(keys, func(k AuthorizedKey) bool { return k.blob == key.blob }):
			keys = append(keys, key)
		}
	}
	return keys, refused
}

// notPublicKeys recognises files that people mistake for a public key and says
// what to do instead.
func notPublicKeys(data []byte) string {
	switch {
	case bytes.Contains(data, []byte("PRIVATE KEY-----")),
		bytes.HasPrefix(data, []byte("PuTTY-User-Key-File")):
		return "this is a private key, keep it secret; give the public key (the file ending in .pub)"
	case bytes.HasPrefix(data, []byte("---- BEGIN SSH2 PUBLIC KEY")):
		return "this is a public key in the SSH2 format; convert it with ssh-keygen -i -f FILE"
	}
	return ""
}

func parseAuthorizedKey(line []byte) (AuthorizedKey, error) {
	pub, comment, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return AuthorizedKey{}, errors.New("not a public key")
	}
	for _, option := range options {
		if !slices.Contains(restrictions, strings.ToLower(option)) {
			name, _, _ := strings.Cut(option, "=")
			return AuthorizedKey{}, fmt.Errorf("option %q is not supported", name)
		}
	}
	if err := checkUserKey(pub); err != nil {
		return AuthorizedKey{}, err
	}
	return AuthorizedKey{
		Name:        comment,
		Type:        keyTypeName(pub),
		Fingerprint: ssh.FingerprintSHA256(pub),
		blob:        string(pub.Marshal()),
	}, nil
}

func checkUserKey(pub ssh.PublicKey) error {
	switch pub.Type() {
	case ssh.KeyAlgoRSA:
		return checkRSA(pub)
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return nil
	}
	return fmt.Errorf("a key of type %s is not accepted", pub.Type())
}

func checkRSA(pub ssh.PublicKey) error {
	crypto, ok := pub.(ssh.CryptoPublicKey)
	if !ok {
		return errors.New("an RSA key of unknown size")
	}
	key, ok := crypto.CryptoPublicKey().(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minRSABits {
		return fmt.Errorf("an RSA key needs at least %d bits", minRSABits)
	}
	return nil
}

// keyTypeName names a key's type as sshd does in its log.
func keyTypeName(pub ssh.PublicKey) string {
	switch pub.Type() {
	case ssh.KeyAlgoED25519:
		return "ED25519"
	case ssh.KeyAlgoSKED25519:
		return "ED25519-SK"
	case ssh.KeyAlgoSKECDSA256:
		return "ECDSA-SK"
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return "ECDSA"
	case ssh.KeyAlgoRSA:
		return "RSA"
	}
	return pub.Type() // one of the names that x/crypto can parse
}
