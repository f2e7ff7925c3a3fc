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
		if command == "" || k.Command != "" && k.Command != command {
			return AuthorizedKey{}, errors.New("the certificate and its line force different commands")
		}
		k.Command = command
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
