package fuzz

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"rrserve/internal/sshsrv"
)

// FuzzProxyHeader reads headers of the PROXY protocol, and what comes behind them.
// What is no header is refused. Nothing that follows one is lost, and the address
// is one of TCP, or none.
func FuzzProxyHeader(f *testing.F) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	for _, seed := range []string{
		"", "P", "PROXY", "SSH-2.0-x\r\n", v2, v2 + "\x21",
		"PROXY TCP4 192.0.2.7 192.0.2.2 5555 22\r\nSSH-2.0-x\r\n",
		"PROXY TCP4 192.0.2.7 192.0.2.2 05555 22\r\n",
		"PROXY TCP4 ::1 192.0.2.2 5555 22\r\n",
		"PROXY TCP6 2001:db8::7 2001:db8::2 65535 65536\r\n",
		"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 0\r\nSSH-2.0-x\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 0 0\r\n",
		"PROXY UNKNOWN\r\nSSH-2.0-x\r\n",
		"PROXY UNKNOWN ffff:ffff ffff:ffff 65535 65535\r\n",
		"PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n",
		v2 + "\x20\x00\x00\x00SSH-2.0-x\r\n",
		v2 + "\x20\x11\x00\x03abcSSH-2.0-x\r\n",
		v2 + "\x21\x00\x00\x00",
		v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x15\xb3\x00\x16SSH-2.0-x\r\n",
		v2 + "\x21\x11\x00\x13\xc0\x00\x02\x07\xc0\x00\x02\x02\x15\xb3\x00\x16\x02\x00\x04main",
		v2 + "\x21\x12\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x15\xb3\x00\x16",
		v2 + "\x21\x21\x00\x24" + strings.Repeat("\x20\x01", 16) + "\x15\xb3\x00\x16",
		v2 + "\x21\x31\x00\xd8" + strings.Repeat("/", 216),
		v2 + "\x21\x13\x00\x0c" + strings.Repeat("x", 12),
		v2 + "\x21\x11\x10\x00" + strings.Repeat("x", 4096) + "SSH-2.0-x\r\n",
		v2 + "\x21\x11\x10\x01" + strings.Repeat("x", 4097),
		v2 + "\x21\x11\xff\xff" + strings.Repeat("x", 65535),
		v2 + "\x20\x11\xff\xff",
		v2 + "\x21\x11\x00\x0b" + strings.Repeat("x", 12),
		v2 + "\x31\x11\x00\x0c" + strings.Repeat("x", 12),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		done := limits{16 << 10, 0}.hold(t, len(data))
		client, rest, err := sshsrv.ReadProxyHeader(in)
		done()
		if err != nil {
			return
		}
		if !bytes.HasPrefix(data, []byte("PROXY ")) && !bytes.HasPrefix(data, []byte(v2)) {
			t.Fatal("not a header")
		}
		if a := client.Addr(); a.Is4In6() || a.Zone() != "" {
			t.Errorf("address %v", client)
		}
		behind, _ := io.ReadAll(io.MultiReader(bytes.NewReader(rest), in))
		if !bytes.HasSuffix(data, behind) || len(behind) == len(data) {
			t.Errorf("behind the header: %q", behind)
		}
		// The same when it arrives together with half of what follows.
		head := len(data) - len(behind)
		first := iotest.DataErrReader(bytes.NewReader(data[:head+len(behind)/2]))
		again, rest, err := sshsrv.ReadProxyHeader(first)
		if err != nil || again != client || !bytes.HasPrefix(behind, rest) {
			t.Errorf("in two parts: %v, %q, %v, want %v", again, rest, err, client)
		}
	})
}
