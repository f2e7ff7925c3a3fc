package sshsrv

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A client without AES-GCM must find a cipher, and OpenSSH not be tempted by
// the slower one. Dropbear 2022.83 could not log in.
func TestCiphersOfClient(t *testing.T) {
	dropbear := []string{"chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"}
	openSSH := []string{"chacha20-poly1305@openssh.com", "aes128-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"}
	for _, tt := range []struct {
		name       string
		configured []string
		client     string
		offers     []string
		want       string // "" for no cipher in common
	}{
		{"Dropbear", nil, "SSH-2.0-dropbear_2022.83", dropbear, "chacha20-poly1305@openssh.com"},
		{"OpenSSH", nil, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10", openSSH, "aes128-gcm@openssh.com"},
		{"OpenSSH of Windows", nil, "SSH-2.0-OpenSSH_for_Windows_9.5", openSSH, "aes128-gcm@openssh.com"},
		{"only AES-CTR", nil, "SSH-2.0-old", []string{"aes128-ctr"}, ""},
		{"configured without", []string{"aes128-gcm@openssh.com"}, "SSH-2.0-dropbear_2022.83", dropbear, ""},
		{"configured with", []string{"chacha20-poly1305@openssh.com"}, "SSH-2.0-OpenSSH_9.2", openSSH, "chacha20-poly1305@openssh.com"},
		{"the longest name", nil, "SSH-2.0-" + strings.Repeat("x", 245), dropbear, "chacha20-poly1305@openssh.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, echo, func(c *Config) { c.Ciphers = tt.configured })
			nc, err := net.Dial("tcp", s.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			signer, err := ssh.ParsePrivateKey(s.read("ed25519"))
			if err != nil {
				t.Fatal(err)
			}
			conn, _, _, err := ssh.NewClientConn(nc, "", &ssh.ClientConfig{
				Config:          ssh.Config{Ciphers: tt.offers},
				ClientVersion:   tt.client,
				User:            "u",
				Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
				HostKeyCallback: ssh.InsecureIgnoreHostKey(),
			})
			if (err == nil) != (tt.want != "") {
				t.Fatalf("login: %v", err)
			}
			if err != nil {
				s.waitLog(`msg="Unable to negotiate with 127.0.0.1 port `)
				return
			}
			defer conn.Close()
			if got := conn.(ssh.AlgorithmsConnMetadata).Algorithms().Read.Cipher; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := string(conn.ServerVersion()); got != "SSH-2.0-rrserve" {
				t.Errorf("server's name %q", got)
			}
		})
	}
}

// Neither side may wait for the other's line, so a client that first listens
// hears ours, once, and then the offer.
func TestClientThatListensFirst(t *testing.T) {
	s := start(t, echo, nil)
	nc, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r := bufio.NewReader(nc)
	if line, err := r.ReadString('\n'); line != "SSH-2.0-rrserve\r\n" {
		t.Fatalf("first %q, %v", line, err)
	}
	if _, err := nc.Write([]byte("a line before the name\r\nSSH-2.0-x\r\n")); err != nil {
		t.Fatal(err)
	}
	packet, err := r.Peek(6) // length, padding, type
	if err != nil || packet[0] != 0 || packet[5] != 20 {
		t.Errorf("no SSH_MSG_KEXINIT: % x, %v", packet, err)
	}
}
