package sshsrv

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// Critical options of a certificate that are enforced here (OpenSSH's
// PROTOCOL.certkeys). One with any other lets nobody in.
const (
	forceCommand  = "force-command"
	sourceAddress = "source-address"
)

// certified returns what a certificate signed by the authority k lets its holder
// do. Its name is the certificate's key ID.
func (k AuthorizedKey) certified(cert *ssh.Certificate, user string, now time.Time) (AuthorizedKey, error) {
	switch {
	case cert.CertType != ssh.UserCert:
		return AuthorizedKey{}, errors.New("not a user certificate")
	case cert.Signature == nil || cert.Signature.Format == ssh.KeyAlgoRSA:
		return AuthorizedKey{}, errors.New("signed with SHA-1")
	case len(cert.ValidPrincipals) == 0:
		return AuthorizedKey{}, errors.New("the certificate names no principal")
	case waivesTouch(cert):
		return AuthorizedKey{}, errors.New("the certificate asks for no touch, which its line does not allow")
	}
	if err := checkUserKey(cert.Key); err != nil {
		return AuthorizedKey{}, err
	}
	checker := ssh.CertChecker{
		SupportedCriticalOptions: []string{forceCommand, sourceAddress},
		Clock:                    func() time.Time { return now },
	}
	if err := checker.CheckCert(k.principal(cert, user), cert); err != nil {
		return AuthorizedKey{}, err
	}
	holder := k
	holder.Type = keyTypeName(cert)
	holder.Fingerprint = ssh.FingerprintSHA256(cert.Key)
	if cert.KeyId != "" {
		holder.Name = cert.KeyId
	}
	return holder.limited(cert.CriticalOptions)
}

// noTouch is what a certificate of a security key holds that does not want it
// touched. For sshd the line must say so too, which none may here; x/crypto believes
// the certificate alone.
const noTouch = "no-touch-required"

func waivesTouch(cert *ssh.Certificate) bool {
	_, ok := cert.Extensions[noTouch]
	return ok && slices.Contains([]string{ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256}, cert.Key.Type())
}

// principal is the name that the certificate must hold: one of the line's
// principals="...", else the SSH user name.
func (k AuthorizedKey) principal(cert *ssh.Certificate, user string) string {
	if k.principals == nil {
		return user
	}
	for _, p := range k.principals {
		if slices.Contains(cert.ValidPrincipals, p) {
			return p
		}
	}
	return k.principals[0] // which the certificate lacks
}

// limited adds a certificate's own limits to those of the line.
func (k AuthorizedKey) limited(options map[string]string) (AuthorizedKey, error) {
	if command, ok := options[forceCommand]; ok {
		if err := k.force(command); err != nil {
			return AuthorizedKey{}, err
		}
	}
	if networks, ok := options[sourceAddress]; ok {
		list, err := ParseAddressList(networks)
		if err != nil {
			return AuthorizedKey{}, err
		}
		k.From(list)
	}
	return k, nil
}

// force is told the command of a certificate.
func (k *AuthorizedKey) force(command string) (err error) {
	switch {
	case command == "" || k.Command != "" && k.Command != command:
		return errors.New("the certificate and its line force different commands")
	case k.Command == command:
		return nil
	case k.Forced == nil:
		return errors.New("the certificate forces a command")
	}
	k.Command = command
	k.Grant, err = k.Forced(command)
	return err
}
