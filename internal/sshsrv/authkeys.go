package sshsrv

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the shortest RSA key accepted from a user or as a host key
// (NIST SP 800-131A; OpenSSH's own limit is 1024).
const minRSABits = 2048

// AuthorizedKey is a line of an authorized_keys file: a public key that may log
// in, or one whose certificates may.
type AuthorizedKey struct {
	// Name is the comment of the key's line, "" if it has none; after a login
	// with a certificate it is the certificate's key ID.
	Name string
	// Type is the key's type as sshd prints it: "ED25519", "RSA", "ECDSA",
	// "ED25519-SK" or "ECDSA-SK", with "-CERT" behind it after a login with a
	// certificate.
	Type string
	// Fingerprint is "SHA256:" and 43 characters of base64.
	Fingerprint string
	// Command is the value of command="...", "" if the line has none. It is not
	// run; what it means is the business of the caller of ParseAuthorizedKeys.
	Command string
	// Line is where the key stands in its file, counted from 1.
	Line int
	// Grant is for the caller of ParseAuthorizedKeys, who may set it. It reaches
	// the handler with the key.
	Grant any
	// Forced is for that caller, too. It returns the Grant of a certificate that
	// forces a command which its line does not; nil, or an error: such a
	// certificate lets nobody in.
	Forced func(command string) (grant any, err error)

	blob       string // the key in wire format; "" matches nothing
	authority  bool   // cert-authority: certificates that it signed log in, not itself
	principals []string
	from       []AddressList // each must allow the address
	expires    time.Time     // zero: never
}

// From limits a key further to the addresses of a list.
func (k *AuthorizedKey) From(list AddressList) { k.from = append(slices.Clip(k.from), list) }

// Addresses are the lists that each must allow an address to log in from.
func (k *AuthorizedKey) Addresses() []AddressList { return k.from }

// Expires is when the key stops working, the zero Time for never.
func (k *AuthorizedKey) Expires() time.Time { return k.expires }

// Authority reports whether it is not the key that logs in, but certificates that
// it signed.
func (k *AuthorizedKey) Authority() bool { return k.authority }

// Reasons why a key that is listed lets nobody in; sshd logs them too.
var (
	errAddress = errors.New("correct key but not from a permitted host")
	errExpired = errors.New("correct key but it has expired")
)

// admits returns what pub, or its certificate, lets its holder do as user from
// addr. The error is errKey where pub is not of this line.
func (k AuthorizedKey) admits(pub ssh.PublicKey, user string, addr netip.Addr, now time.Time) (AuthorizedKey, error) {
	cert, isCert := pub.(*ssh.Certificate)
	if isCert {
		pub = cert.SignatureKey
	}
	if isCert != k.authority || k.blob == "" || k.blob != string(pub.Marshal()) {
		return AuthorizedKey{}, errKey
	}
	if isCert {
		var err error
		if k, err = k.certified(cert, user, now); err != nil {
			return AuthorizedKey{}, err
		}
	}
	switch {
	case slices.ContainsFunc(k.from, func(l AddressList) bool { return !l.Allows(addr) }):
		return AuthorizedKey{}, errAddress
	case !k.expires.IsZero() && !now.Before(k.expires):
		return AuthorizedKey{}, errExpired
	}
	return k, nil
}

// RefusedLine is a line of an authorized_keys file that lets nobody in.
type RefusedLine struct {
	Line   int // counted from 1
	Reason string
}

func (l RefusedLine) String() string { return fmt.Sprintf("line %d: %s", l.Line, l.Reason) }

// ParseAuthorizedKeys reads the format of sshd(8), AUTHORIZED_KEYS FILE FORMAT:
// one key per line, empty lines and lines that begin with # ignored. A line
// that cannot be used, or whose options ask for something that is not enforced
// here, is refused with a reason; the other lines are valid nevertheless. Of
// several lines with one key, which may differ in their options, the first that
// lets a client in counts.
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
		if err != nil {
			refused = append(refused, RefusedLine{number, err.Error()})
			continue
		}
		key.Line = number
		keys = append(keys, key)
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
		return AuthorizedKey{}, errors.New(`not a public key, which is one line such as "ssh-ed25519 AAAA... name"`)
	}
	if err := checkUserKey(pub); err != nil {
		return AuthorizedKey{}, err
	}
	key := AuthorizedKey{
		Name:        comment,
		Type:        keyTypeName(pub),
		Fingerprint: ssh.FingerprintSHA256(pub),
		blob:        string(pub.Marshal()),
	}
	for _, option := range options {
		if err := key.setOption(option); err != nil {
			return AuthorizedKey{}, err
		}
	}
	if key.principals != nil && !key.authority {
		return AuthorizedKey{}, errors.New(`option "principals" has no meaning without cert-authority`)
	}
	return key, nil
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
	if cert, ok := pub.(*ssh.Certificate); ok {
		return keyTypeName(cert.Key) + "-CERT"
	}
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
