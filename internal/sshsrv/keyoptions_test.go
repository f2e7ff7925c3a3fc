package sshsrv

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestAddressList(t *testing.T) {
	for _, tt := range []struct {
		list, addr string
		want       bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true}, // what a socket for both versions says
		{"192.168.1.*", "192.168.1.77", true},
		{"192.168.1.*", "192.168.10.77", false},
		{"192.168.1.?", "192.168.1.7", true},
		{"192.168.1.?", "192.168.1.77", false},
		{"*", "2001:db8::1", true},
		{"!10.0.0.5,10.0.0.0/8", "10.0.0.5", false},
		{"10.0.0.0/8,!10.0.0.5", "10.0.0.5", false}, // wherever the negation stands
		{"10.0.0.0/8,!10.0.0.5", "10.0.0.6", true},
		{"!10.0.0.5", "10.0.0.6", false}, // nothing matches
		{"2001:DB8::/32", "2001:db8::1", true},
		{"2001:0db8:0:0::1", "2001:db8::1", true}, // however it is spelled
		{"2001:db8::*", "2001:db8::1", true},
		{"fe80::1", "fe80::1%eth0", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.1.2.3", false},
		{"::ffff:0:0/96,!::ffff:a00:1", "10.0.0.1", false},
		{"*,!::ffff:10.0.0.1", "::ffff:10.0.0.1", false},
		{"::ffff:10.*", "10.0.0.1", true},
	} {
		list, err := ParseAddressList(tt.list)
		if err != nil {
			t.Errorf("%s: %v", tt.list, err)
			continue
		}
		if got := list.Allows(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s allows %s: %v, want %v", tt.list, tt.addr, got, tt.want)
		}
	}
	any, _ := ParseAddressList("*")
	if any.Allows(netip.Addr{}) {
		t.Error("a peer without an address is allowed")
	}
	if _, err := ParseAddressList(strings.Repeat("10.0.0.1,", maxAddressPatterns) + "10.0.0.1"); err == nil {
		t.Error("a list of any length is accepted")
	}
}

func TestExpiry(t *testing.T) {
	for text, want := range map[string]time.Time{
		"20370102":        time.Date(2037, 1, 2, 0, 0, 0, 0, time.Local),
		"20370102Z":       time.Date(2037, 1, 2, 0, 0, 0, 0, time.UTC),
		"203701021530":    time.Date(2037, 1, 2, 15, 30, 0, 0, time.Local),
		"20370102153059Z": time.Date(2037, 1, 2, 15, 30, 59, 0, time.UTC),
	} {
		if got, err := parseExpiry(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	key := mustParse(t, `expiry-time="20370102Z" `+ed25519Key)
	pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(ed25519Key))
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Date(2037, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		now  time.Time
		want error
	}{
		{expires.Add(-time.Second), nil},
		{expires, errExpired},
	} {
		if _, err := key.admits(pub, "u", netip.MustParseAddr("10.0.0.1"), tt.now); err != tt.want {
			t.Errorf("at %v: %v, want %v", tt.now, err, tt.want)
		}
	}
}

func mustParse(t *testing.T, line string) AuthorizedKey {
	t.Helper()
	keys, refused := ParseAuthorizedKeys([]byte(line))
	if len(keys) != 1 {
		t.Fatalf("%s: %v", line, refused)
	}
	return keys[0]
}

// The options decide about a login through the real ssh, both ways.
func TestKeyOptions(t *testing.T) {
	s := start(t, func(_ context.Context, x *Exec) int { return len(x.Key.Command) }, nil)
	line := s.keygen("limited", "ed25519")
	for _, tt := range []struct {
		options string
		status  int    // of ssh: 255 is "permission denied"
		log     string // part of the log
	}{
		{`from="127.0.0.0/8" `, 0, ""},
		{`from="10.0.0.0/8" `, 255, "correct key but not from a permitted host"},
		{`from="*,!127.0.0.1" `, 255, "correct key but not from a permitted host"},
		{`expiry-time="29990101" `, 0, ""},
		{`expiry-time="20200101" `, 255, "correct key but it has expired"},
		{`command="12345",restrict `, 5, ""},
		{`environment="A=b" `, 255, "Failed publickey"},
		// The same key twice: the first line that lets it in counts.
		{`from="10.0.0.0/8",command="1234567" ` + line + `command="123" `, 3, ""},
	} {
		s.write("authorized_keys", tt.options+line, 0o600)
		if got := s.run(s.command("ssh", "limited", "u@127.0.0.1", "hello")); got.Status != tt.status {
			t.Errorf("%s: %+v, want status %d", tt.options, got, tt.status)
		}
		s.wantLog(tt.log)
	}
}

func TestCertificates(t *testing.T) {
	s := start(t, func(_ context.Context, x *Exec) int {
		fmt.Fprintf(x.Stdout, "%s %s %q", x.Key.Name, x.Key.Type, x.Key.Command)
		if x.Key.Grant != nil {
			fmt.Fprintf(x.Stdout, " %s", x.Key.Grant)
		}
		return 0
	}, nil)
	ca, user := s.keygen("ca", "ed25519"), s.keygen("user", "ed25519")
	login := func(name string) result { return s.run(s.command("ssh", "user", name+"@127.0.0.1", "hello")) }
	sign := func(args ...string) {
		t.Helper()
		cmd := s.command("ssh-keygen", "user")
		cmd.Args = append([]string{"ssh-keygen", "-q", "-s", s.dir + "/ca", "-I", "pi at home"}, append(args, s.dir+"/user.pub")...)
		if got := s.run(cmd); got.Status != 0 {
			t.Fatal(got)
		}
	}
	for _, tt := range []struct {
		name    string
		options string
		sign    []string
		want    string // standard output; "" for permission denied
	}{
		{"the user name is a principal", "cert-authority", []string{"-n", "u,v"}, `pi at home ED25519-CERT ""`},
		{"the user name is none", "cert-authority", []string{"-n", "v"}, ""},
		{"a principal of the line", `cert-authority,principals="a,b"`, []string{"-n", "b"}, `pi at home ED25519-CERT ""`},
		{"no principal of the line", `cert-authority,principals="a,b"`, []string{"-n", "u"}, ""},
		{"no principal at all", "cert-authority", nil, ""},
		{"not an authority", "restrict", []string{"-n", "u"}, ""},
		{"expired", "cert-authority", []string{"-n", "u", "-V", "20200101:20200102"}, ""},
		{"not yet valid", "cert-authority", []string{"-n", "u", "-V", "20990101:20990102"}, ""},
		{"a host certificate", "cert-authority", []string{"-h", "-n", "u"}, ""},
		{"forced command", "cert-authority", []string{"-n", "u", "-O", "force-command=rrsync -ro /a"}, `pi at home ED25519-CERT "rrsync -ro /a" only /a`},
		{"that of the line", `cert-authority,command="x"`, []string{"-n", "u", "-O", "force-command=x"}, `pi at home ED25519-CERT "x"`},
		{"a forced command that gives nothing", "cert-authority", []string{"-n", "u", "-O", "force-command=/bin/false"}, ""},
		{"another forced command", `cert-authority,command="x"`, []string{"-n", "u", "-O", "force-command=y"}, ""},
		{"from here", "cert-authority", []string{"-n", "u", "-O", "source-address=127.0.0.0/8"}, `pi at home ED25519-CERT ""`},
		{"from elsewhere", "cert-authority", []string{"-n", "u", "-O", "source-address=10.0.0.0/8"}, ""},
		{"an option of the future", "cert-authority", []string{"-n", "u", "-O", "critical:frob=1"}, ""},
		{"from elsewhere by the line", `cert-authority,from="10.0.0.0/8"`, []string{"-n", "u"}, ""},
	} {
		s.write("authorized_keys", tt.options+" "+ca, 0o600)
		sign(tt.sign...)
		got := login("u")
		want := result{Stdout: tt.want}
		if tt.want == "" {
			want = result{255, "", "u@127.0.0.1: Permission denied (publickey).\r\n"}
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
	// The authority's own key does not log in, and neither does the plain key of
	// somebody who has a certificate.
	sign("-n", "other")
	s.write("authorized_keys", "cert-authority "+ca, 0o600)
	if got := s.run(s.command("ssh", "ca", "u@127.0.0.1", "hello")); got.Status != 255 {
		t.Errorf("the authority itself: %+v", got)
	}
	if got := login("u"); got.Status != 255 {
		t.Errorf("the plain key: %+v", got)
	}
	s.write("authorized_keys", user, 0o600)
	if got := login("u"); got.Status != 0 {
		t.Errorf("the plain key, listed: %+v", got)
	}
}

// A certificate could lift what sshd demands of a security key: to be touched.
func TestCertificateOfSecurityKey(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	line := mustParse(t, "cert-authority "+string(ssh.MarshalAuthorizedKey(ca.PublicKey())))
	for _, tt := range []struct{ key, extension, want string }{
		{skEd25519Key, "permit-pty", ""},
		{skEd25519Key, "no-touch-required", "the certificate asks for no touch, which its line does not allow"},
		{skECDSAKey, "no-touch-required", "the certificate asks for no touch, which its line does not allow"},
		{ed25519Key, "no-touch-required", ""}, // without meaning
	} {
		pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(tt.key))
		if err != nil {
			t.Fatal(err)
		}
		cert := &ssh.Certificate{Key: pub, CertType: ssh.UserCert, ValidPrincipals: []string{"u"}, ValidBefore: ssh.CertTimeInfinity}
		cert.Extensions = map[string]string{tt.extension: ""}
		if err := cert.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		_, err = line.admits(cert, "u", netip.MustParseAddr("10.0.0.1"), time.Unix(1e9, 0))
		if got := errorText(err); got != tt.want {
			t.Errorf("%s %s: %q, want %q", pub.Type(), tt.extension, got, tt.want)
		}
	}
}

func TestAddressListPrints(t *testing.T) {
	const text = "10.0.0.0/8,!10.0.0.5,192.168.*,fd00::1"
	list, err := ParseAddressList("10.0.0.0/8, !10.0.0.5,192.168.*,FD00::1")
	if err != nil || list.String() != text {
		t.Errorf("%q, %v, want %q", list, err, text)
	}
}
