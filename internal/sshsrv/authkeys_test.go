package sshsrv

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/crypto/ssh"
)

// Public keys made with ssh-keygen; the sk ones are made of the same points.
const (
	ed25519Key   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpv8gUgfvjJ1DHnzAsToZ0OZboyXbV0gilsts3CkuHU"
	ecdsaKey     = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLc5Oa3cWe7PT8e/qSHDaF6uGKqBjocpUfxvHfM7FZ3b7l7825XPkTfuPrwBpNdGH5HmYE4B1k8Fej5cvmXm7Jg="
	skEd25519Key = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIOpv8gUgfvjJ1DHnzAsToZ0OZboyXbV0gilsts3CkuHUAAAABHNzaDo="
	skECDSAKey   = "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBLc5Oa3cWe7PT8e/qSHDaF6uGKqBjocpUfxvHfM7FZ3b7l7825XPkTfuPrwBpNdGH5HmYE4B1k8Fej5cvmXm7JgAAAAEc3NoOg=="
	rsa1024Key   = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDaWK0ptCWmPjH+IcUsQ59CmhwoVfuFpK/RGsboBCY0l9sjVC0s7kbHVuqPl8K71fhof7vaNsn1aajJp6LF8wUGo1ZMT+TfndsDeF9/967+sEJskud+Zqlyt6zPXSPASRJ0Zkpf6lWMySEiu4ILWnqONdsWInykdkgvT4OG8kT3EQ=="
	dsaKey       = "ssh-dss AAAAB3NzaC1kc3MAAACBAKjy4PyjMTVtQW+MpW22UM1ILdL2Ac9ceDzZfCvQMQU69NVJ7MQKQma1DKYfIh0TtWR/33Wt6pYOaPShzXk5JaLE2HIa3uD7vdaB3F2ltePD/2WnjU7c/JmgnUwoj8bDOzmTvptLjS0EX2D9irTu8UvSF4hMae/aDYYMmhJuPcXVAAAAFQDDZF2za8B9FLyPC1CGKl6j0UA0cwAAAIB0BHu8uxHy+C5w9AAsyEICRoghk9+fHevhADuF4gLxS7D11nkJhrQCkkIfqhHe3lFADRAr3/IygjSxnphPE8Lhih0tgjjCGx5oWulwLmYVsB4FrDgW5rI41tn6RJ7VCE+zSi4yjh1mJpIrDe9JoEUoyN5yp6ZbBrkq9KkxnwN9yAAAAIBI+XuxT/7CaZ6+mHdn/7sSJcVVdra70yITJjGubdzgVGa6lAYBdWtQIOyIi21lbPOnCvhuAzGG+TC2fMfQ6ExE2v06bfnReapSX7CVOsMXcO/ed1oEa0q8U1B+lkDsmHgXpTaeMAFD5lf9J2PrYKcC75Rv7S95RlwPtdHJ6BMsww=="
	certificate  = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIBWsbkxTocDYkoRi3dopayL4vF0MizygOqTMHhsj1wfuAAAAIKNBPHkP7rrqrCW8a7bby1gydbgCLYAUlJlksCKFEaK5AAAAAAAAAAAAAAABAAAAAmlkAAAABQAAAAF1AAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIOpv8gUgfvjJ1DHnzAsToZ0OZboyXbV0gilsts3CkuHUAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEBa1YcGqmzAT4Y+4/5ltjRZC2oGlU9EHQssFcmny1GMMNpopAVuJcjotENuiarKy1fc7aEPKgHHHTZrVagqm0YC"

	// as ssh-keygen -l prints it for ed25519Key
	ed25519Fingerprint = "SHA256:+n8ZN/mGRKa2Q2MFE2QC6pZ/9hlDEKw1Gk1ZINgHGzk"

	noKey = `not a public key, which is one line such as "ssh-ed25519 AAAA... name"`
)

func TestParseAuthorizedKeys(t *testing.T) {
	ed := AuthorizedKey{Name: "me", Type: "ED25519", Fingerprint: ed25519Fingerprint}
	for _, tt := range []struct {
		name    string
		data    string
		keys    []AuthorizedKey
		refused []RefusedLine
	}{
		{"nothing", "", nil, nil},
		{"only comments", "# a\n\n  \t\n#\n", nil, nil},
		{"one", ed25519Key + " me\n", []AuthorizedKey{ed}, nil},
		{"no newline at the end", ed25519Key + " me", []AuthorizedKey{ed}, nil},
		{"CRLF", ed25519Key + " me\r\n", []AuthorizedKey{ed}, nil},
		{"byte order mark", "\ufeff" + ed25519Key + " me\n", []AuthorizedKey{ed}, nil},
		{"indented", "  \t" + ed25519Key + " me\n", []AuthorizedKey{ed}, nil},
		{"no comment", ed25519Key + "\n", []AuthorizedKey{{Type: "ED25519", Fingerprint: ed25519Fingerprint}}, nil},
		{"comment with spaces", ed25519Key + " me at home\n", []AuthorizedKey{{Name: "me at home", Type: "ED25519", Fingerprint: ed25519Fingerprint}}, nil},
		{"twice", ed25519Key + " me\n" + ed25519Key + " again\n", []AuthorizedKey{ed, {Name: "again", Type: ed.Type, Fingerprint: ed.Fingerprint}}, nil},
		{"restrictions", `restrict,no-pty,No-X11-Forwarding,no-agent-forwarding,no-port-forwarding,no-user-rc,permitopen="h:1",pty ` + ed25519Key + " me", []AuthorizedKey{ed}, nil},
		{"forced command", `command="rrsync -ro \"/a b\"" ` + ed25519Key + " me", []AuthorizedKey{{Name: "me", Type: ed.Type, Fingerprint: ed.Fingerprint, Command: `rrsync -ro "/a b"`}}, nil},
		{"empty command", `command="" ` + ed25519Key + " me", nil, []RefusedLine{{1, `option "command": it has no value`}}},
		{"command without quotes", `command=date ` + ed25519Key + " me", nil, []RefusedLine{{1, `option "command": its value must stand in double quotes`}}},
		{"from", `restrict,from="10.0.0.0/8" ` + ed25519Key + " me", []AuthorizedKey{ed}, nil},
		{"from a host", `from="10.0.0.0/8,!bad.example.com" ` + ed25519Key, nil, []RefusedLine{{1, `option "from": "bad.example.com" is not an address; host names are not looked up`}}},
		{"from a host of hexadecimal letters", `from="!be.ef" ` + ed25519Key, nil, []RefusedLine{{1, `option "from": "be.ef" is not an address; host names are not looked up`}}},
		{"from half a network", `from="10.0.0.1/8" ` + ed25519Key, nil, []RefusedLine{{1, `option "from": "10.0.0.1/8" is not a network; allowed is ADDRESS/BITS without bits behind the first BITS`}}},
		{"from nowhere", `from="10.0.0.0/8," ` + ed25519Key, nil, []RefusedLine{{1, `option "from": an empty pattern`}}},
		{"expiry", `expiry-time="20370101Z" ` + ed25519Key + " me", []AuthorizedKey{ed}, nil},
		{"expiry in words", `expiry-time="tomorrow" ` + ed25519Key, nil, []RefusedLine{{1, `option "expiry-time": not a time; allowed are YYYYMMDD, YYYYMMDDHHMM and YYYYMMDDHHMMSS, in UTC with a Z behind`}}},
		{"expiry in month 13", `expiry-time="20371301" ` + ed25519Key, nil, []RefusedLine{{1, `option "expiry-time": not a time; allowed are YYYYMMDD, YYYYMMDDHHMM and YYYYMMDDHHMMSS, in UTC with a Z behind`}}},
		{"no-touch-required", `no-touch-required ` + skEd25519Key, nil, []RefusedLine{{1, `option "no-touch-required" is not supported`}}},
		{"verify-required", `verify-required ` + skEd25519Key, nil, []RefusedLine{{1, `option "verify-required" is not supported`}}},
		{"unknown option", `frobnicate ` + ed25519Key, nil, []RefusedLine{{1, `option "frobnicate" is not supported`}}},
		{"cert-authority", `cert-authority,principals="a,b" ` + ed25519Key + " me", []AuthorizedKey{ed}, nil},
		{"principals without cert-authority", `principals="a" ` + ed25519Key, nil, []RefusedLine{{1, `option "principals" has no meaning without cert-authority`}}},
		{"a later time of two", `expiry-time="20200101",expiry-time="20990101" ` + ed25519Key, nil, []RefusedLine{{1, `option "expiry-time" is given twice`}}},
		{"two commands", `command="a",restrict,COMMAND="b" ` + ed25519Key, nil, []RefusedLine{{1, `option "command" is given twice`}}},
		{"two lists of addresses", `from="10.0.0.1",from="10.0.0.2" ` + ed25519Key, nil, []RefusedLine{{1, `option "from" is given twice`}}},
		{"two lists of principals", `cert-authority,principals="a",principals="b" ` + ed25519Key, nil, []RefusedLine{{1, `option "principals" is given twice`}}},
		{"no principals", `cert-authority,principals="," ` + ed25519Key, nil, []RefusedLine{{1, `option "principals": it has no value`}}},
		{"unmatched quote", `command="x ` + ed25519Key + " me", nil, []RefusedLine{{1, noKey}}},
		{"a bad line among good ones", "#\nnonsense\n" + ed25519Key + " me\nssh-ed25519 AAAA x\n",
			[]AuthorizedKey{ed}, []RefusedLine{{2, noKey}, {4, noKey}}},
		{"type that is not the key's", "ssh-rsa" + strings.TrimPrefix(ed25519Key, "ssh-ed25519"), nil, []RefusedLine{{1, noKey}}},
		{"short RSA", rsa1024Key + " old", nil, []RefusedLine{{1, "an RSA key needs at least 2048 bits"}}},
		{"DSA", dsaKey + " old", nil, []RefusedLine{{1, "a key of type ssh-dss is not accepted"}}},
		{"certificate", certificate + " c", nil, []RefusedLine{{1, "a key of type ssh-ed25519-cert-v01@openssh.com is not accepted"}}},
		{"private key", "\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n" + ed25519Key,
			nil, []RefusedLine{{1, "this is a private key, keep it secret; give the public key (the file ending in .pub)"}}},
		{"PuTTY's private key", "PuTTY-User-Key-File-3: ssh-ed25519\n",
			nil, []RefusedLine{{1, "this is a private key, keep it secret; give the public key (the file ending in .pub)"}}},
		{"SSH2 format", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n",
			nil, []RefusedLine{{1, "this is a public key in the SSH2 format; convert it with ssh-keygen -i -f FILE"}}},
		{"other types", ecdsaKey + " e\n" + skEd25519Key + " se\n" + skECDSAKey + " sc\n", []AuthorizedKey{
			{Name: "e", Type: "ECDSA", Fingerprint: "SHA256:zGrqeqpr3GHEk6tzIcV8mLbfKePV3lmlmoRnjsktR9c"},
			{Name: "se", Type: "ED25519-SK", Fingerprint: "SHA256:QRojFAko0my62/AO1NQ86VMRd9lrHNCQzTJALoipC9E"},
			{Name: "sc", Type: "ECDSA-SK", Fingerprint: "SHA256:8HPtnLDs1i0YoEb9IuVGUxNRwVVX6lMVXeFcUCDzFR0"},
		}, nil},
	} {
		keys, refused := ParseAuthorizedKeys([]byte(tt.data))
		for i := range keys {
			pub, err := ssh.ParsePublicKey([]byte(keys[i].blob))
			if err == nil && !keys[i].authority {
				_, err = keys[i].admits(pub, "u", netip.MustParseAddr("10.1.2.3"), time.Unix(1e9, 0))
			}
			if err != nil {
				t.Errorf("%s: key %d does not admit itself: %v", tt.name, i, err)
			}
		}
		if diff := cmp.Diff(tt.keys, keys, cmpopts.IgnoreUnexported(AuthorizedKey{}), cmpopts.IgnoreFields(AuthorizedKey{}, "Line")); diff != "" {
			t.Errorf("%s: keys (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.refused, refused); diff != "" {
			t.Errorf("%s: refused (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The message for the operator must not repeat what an option holds.
func TestRefusedLineString(t *testing.T) {
	_, refused := ParseAuthorizedKeys([]byte(`environment="SECRET=hunter2" ` + ed25519Key))
	if got, want := refused[0].String(), `line 1: option "environment" is not supported`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGenerateHostKey(t *testing.T) {
	private, public, err := GenerateHostKey("rrserve@main")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseHostKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/key"
	if err := os.WriteFile(path, private, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-l", "-f", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), "256 "+key.Fingerprint()+" rrserve@main ("+key.Type()+")\n"; got != want {
		t.Errorf("ssh-keygen says %q, want %q", got, want)
	}
	out, err = exec.Command("ssh-keygen", "-y", "-f", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != string(public) {
		t.Errorf("ssh-keygen says %q, want %q", out, public)
	}
	other, _, err := GenerateHostKey("")
	if err != nil || string(other) == string(private) {
		t.Errorf("a second key: %v, equal: %t", err, string(other) == string(private))
	}
}

func TestParseHostKey(t *testing.T) {
	s := &testServer{t: t, dir: t.TempDir()}
	for _, tt := range []struct {
		name, kind string
		args       []string
		want       string // error, "" for none
	}{
		{"ed", "ed25519", nil, ""},
		{"rsa2048", "rsa", []string{"-b", "2048"}, ""},
		{"pem", "rsa", []string{"-b", "2048", "-m", "PEM"}, ""},
		{"rsa1024", "rsa", []string{"-b", "1024"}, "an RSA key needs at least 2048 bits"},
		{"ecdsa", "ecdsa", nil, "a host key of type ecdsa-sha2-nistp256 is not served; ed25519 and RSA are"},
		{"locked", "ed25519", []string{"-N", "secret"}, "the key has a passphrase; a host key must have none"},
	} {
		s.keygen(tt.name, tt.kind, tt.args...)
		_, err := ParseHostKey(s.read(tt.name))
		if got := errorText(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, data := range []string{"", "nonsense", ed25519Key, "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----\n"} {
		if _, err := ParseHostKey([]byte(data)); !strings.HasPrefix(errorText(err), "not a private key: ") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	private, _, err := GenerateHostKey("")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseHostKey(private)
	if err != nil {
		t.Fatal(err)
	}
	none := func() []AuthorizedKey { return nil }
	keys := []HostKey{key}
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{HostKeys: keys, AuthorizedKeys: none, Handler: echo}, ""},
		{Config{AuthorizedKeys: none, Handler: echo}, "no host key"},
		{Config{HostKeys: make([]HostKey, 1), AuthorizedKeys: none, Handler: echo}, "empty host key"},
		{Config{HostKeys: keys, Handler: echo}, "no authorized keys"},
		{Config{HostKeys: keys, AuthorizedKeys: none}, "no handler"},
		{Config{HostKeys: keys, AuthorizedKeys: none, Handler: echo, Policy: Policy{Ciphers: []string{"aes128-gcm@openssh.com", "aes128-cbc"}}},
			`cipher "aes128-cbc" is not one of aes128-gcm@openssh.com, aes256-gcm@openssh.com, chacha20-poly1305@openssh.com, aes128-ctr, aes192-ctr, aes256-ctr`},
	} {
		_, err := New(tt.cfg)
		if got := errorText(err); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
