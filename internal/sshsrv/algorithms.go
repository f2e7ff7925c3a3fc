package sshsrv

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Every list here is written out, so that a new version of x/crypto cannot
// widen what is offered. OpenSSH since 7.4 finds a match in each of them.

// keyExchanges are in order of preference; the server's order only breaks
// ties, the client's decides (RFC 4253 section 7.1). x/crypto adds
// curve25519-sha256@libssh.org, the older name of the second.
var keyExchanges = []string{
	ssh.KeyExchangeMLKEM768X25519,
	ssh.KeyExchangeCurve25519,
}

// macs matter only beside an AES-CTR cipher; the others carry their own tag.
var macs = []string{
	ssh.HMACSHA256ETM,
	ssh.HMACSHA512ETM,
}

// userKeyAlgorithms are the signatures accepted from a client: no SHA-1, no DSA.
// x/crypto takes those of certificates by the key inside.
var userKeyAlgorithms = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoSKED25519,
	ssh.KeyAlgoECDSA256,
	ssh.KeyAlgoECDSA384,
	ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoSKECDSA256,
	ssh.KeyAlgoRSASHA256,
	ssh.KeyAlgoRSASHA512,
}

// rsaHostKeyAlgorithms are the signatures made with an RSA host key.
var rsaHostKeyAlgorithms = []string{
	ssh.KeyAlgoRSASHA512,
	ssh.KeyAlgoRSASHA256,
}

// openSSHCiphers are offered to OpenSSH when [Config].Ciphers is empty.
// chacha20-poly1305 is left out: OpenSSH asks for it first wherever it is
// offered, and without AES-GCM's assembly it runs at less than half the speed on
// CPUs that have AES instructions.
var openSSHCiphers = []string{
	ssh.CipherAES128GCM,
	ssh.CipherAES256GCM,
}

// otherCiphers are offered to all other clients then. Some have no AES-GCM:
// Dropbear as it is usually built, of routers and small storage boxes.
var otherCiphers = []string{
	ssh.CipherAES128GCM,
	ssh.CipherAES256GCM,
	ssh.CipherChaCha20Poly1305,
}

// ciphers returns what to offer to a client that begins with this line.
func (c *Policy) ciphers(client string) []string {
	switch {
	case len(c.Ciphers) > 0:
		return c.Ciphers
	case strings.HasPrefix(client, "SSH-2.0-OpenSSH_"):
		return openSSHCiphers
	}
	return otherCiphers
}

// SoftwareCiphers are the ones to offer on a CPU without AES instructions,
// where AES-GCM is slow and leaks timing.
var SoftwareCiphers = []string{
	ssh.CipherChaCha20Poly1305,
	ssh.CipherAES128GCM,
	ssh.CipherAES256GCM,
}

// allowedCiphers are all that [Config].Ciphers may name.
var allowedCiphers = []string{
	ssh.CipherAES128GCM,
	ssh.CipherAES256GCM,
	ssh.CipherChaCha20Poly1305,
	ssh.CipherAES128CTR,
	ssh.CipherAES192CTR,
	ssh.CipherAES256CTR,
}

// CheckCiphers reports the first name that [Config].Ciphers may not hold,
// together with all that it may.
func CheckCiphers(names []string) error {
	for _, name := range names {
		if !slices.Contains(allowedCiphers, name) {
			return fmt.Errorf("cipher %q is not one of %s", name, strings.Join(allowedCiphers, ", "))
		}
	}
	return nil
}
