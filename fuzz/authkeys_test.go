package fuzz

import (
	"strings"
	"testing"

	"rrserve/internal/sshsrv"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpv8gUgfvjJ1DHnzAsToZ0OZboyXbV0gilsts3CkuHU"

// FuzzAuthorizedKeys parses authorized_keys files. No line may be both a key
// and a refusal, nothing may be refused silently, and a line with options that
// are not restrictions must not let anybody in.
func FuzzAuthorizedKeys(f *testing.F) {
	for _, seed := range []string{
		"",
		"# comment\n\n",
		publicKey,
		publicKey + " a comment\r\n" + publicKey + " again\n",
		"\ufeff" + publicKey + " with a mark\n",
		"restrict,no-pty " + publicKey + " me\n",
		`command="rrsync -ro \"/a b\"",from="10.0.0.0/8" ` + publicKey + " me\n",
		`environment="A=b" ` + publicKey,
		`command="unmatched ` + publicKey,
		"cert-authority " + publicKey + "\n",
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE= short\n",
		"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLc5Oa3cWe7PT8e/qSHDaF6uGKqBjocpUfxvHfM7FZ3b7l7825XPkTfuPrwBpNdGH5HmYE4B1k8Fej5cvmXm7Jg= e\n",
		"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIOpv8gUgfvjJ1DHnzAsToZ0OZboyXbV0gilsts3CkuHUAAAABHNzaDo= sk\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		"---- BEGIN SSH2 PUBLIC KEY ----\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		done := limits{64 << 10, 100}.hold(t, len(data))
		keys, refused := sshsrv.ParseAuthorizedKeys(data)
		done()
		lines := strings.Count(string(data), "\n") + 1
		if len(keys)+len(refused) > lines {
			t.Fatalf("%d keys and %d refusals from %d lines", len(keys), len(refused), lines)
		}
		last := 0
		for _, r := range refused {
			if r.Line <= last || r.Line > lines || r.Reason == "" {
				t.Fatalf("refusal %+v after line %d of %d", r, last, lines)
			}
			last = r.Line
		}
		for _, k := range keys {
			if k.Type == "" || !strings.HasPrefix(k.Fingerprint, "SHA256:") {
				t.Fatalf("key %+v", k)
			}
			if strings.ContainsAny(k.Name, "\n") {
				t.Fatalf("name %q", k.Name)
			}
		}
		// Whatever the first line is made of, an unknown option in front of it
		// takes its key away.
		line, _, _ := strings.Cut(string(data), "\n")
		if got, _ := sshsrv.ParseAuthorizedKeys([]byte("unknown-option " + line)); len(got) != 0 {
			t.Fatalf("%q with an unknown option gives %+v", line, got)
		}
	})
}
