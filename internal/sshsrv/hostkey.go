package sshsrv

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// HostKey is a private key with which the server proves who it is. The zero
// HostKey is refused by [New].
type HostKey struct {
	signer ssh.Signer
}

// Type returns the key's type as sshd prints it: "ED25519" or "RSA".
func (k HostKey) Type() string { return keyTypeName(k.signer.PublicKey()) }

// Fingerprint returns the key's fingerprint as `ssh-keygen -l` prints it:
// "SHA256:" and 43 characters of base64.
func (k HostKey) Fingerprint() string { return ssh.FingerprintSHA256(k.signer.PublicKey()) }

// ParseHostKey reads an unencrypted private key in PEM (the OpenSSH format, or
// PKCS). It must be ed25519, or RSA with at least 2048 bits, which then signs
// with SHA-2 only.
func ParseHostKey(data []byte) (HostKey, error) {
	signer, err := ssh.ParsePrivateKey(data)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		return HostKey{}, errors.New("the key has a passphrase; a host key must have none")
	}
	if err != nil {
		return HostKey{}, fmt.Errorf("not a private key: %w", err)
	}
	switch pub := signer.PublicKey(); pub.Type() {
	case ssh.KeyAlgoED25519:
		return HostKey{signer}, nil
	case ssh.KeyAlgoRSA:
		if err := checkRSA(pub); err != nil {
			return HostKey{}, err
		}
		signer, err = ssh.NewSignerWithAlgorithms(signer.(ssh.AlgorithmSigner), rsaHostKeyAlgorithms)
		return HostKey{signer}, err
	default:
		return HostKey{}, fmt.Errorf("a host key of type %s is not served; ed25519 and RSA are", pub.Type())
	}
}

// GenerateHostKey makes a new ed25519 key: the private half in OpenSSH's PEM
// format and the public half as a line of a .pub file, both with the comment.
func GenerateHostKey(comment string) (private, public []byte, err error) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, nil, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, nil, err
	}
	line := ssh.MarshalAuthorizedKey(sshPub) // ends with a newline
	line = append(line[:len(line)-1], " "+comment+"\n"...)
	return pem.EncodeToMemory(block), line, nil
}
