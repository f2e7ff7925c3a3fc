package rsyncproto

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// serveDaemon feeds a client's side of the daemon protocol to Serve, with the
// recorded tree as the module data.
func serveDaemon(client string) (stdout, stderr string, res Result) {
	var out, errOut bytes.Buffer
	res = Serve(context.Background(), Config{
		Command: "rsync --server --daemon .", FS: recordedTree(), Module: "data", Seed: 1,
		Stdin: strings.NewReader(client), Stdout: &out, Stderr: &errOut, Abort: func() {},
	})
	return out.String(), errOut.String(), res
}

// What a stock daemon answers to each of these, but for the text about a
// version below 27, was seen from rsync 3.5.0.
func TestDaemonOpening(t *testing.T) {
	const (
		ours = "@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n"
		list = "data           \t\n@RSYNCD: EXIT\n"
	)
	for _, c := range []struct {
		client, want string // without our greeting
		status       int
	}{
		{"@RSYNCD: 32.0 md5\n\n", list, 0},
		{"@RSYNCD: 32.0 md5\n#list\n", list, 0},
		{"@RSYNCD: 31.0\n\n", list, 0},
		{"@RSYNCD: 29\n\n", list, 0},
		{"@RSYNCD: 27\r\n\r\n", list, 0},
		{"@RSYNCD: 99.0 md5\n\n", list, 0},
		{"hello\n", "@ERROR: protocol startup error\n", 5},
		{"@RSYNCD: x\n", "@ERROR: protocol startup error\n", 5},
		{"@RSYNCD: \n", "@ERROR: protocol startup error\n", 5},
		{"@RSYNCD: 99999999999.0 md5\n", "@ERROR: protocol startup error\n", 5},
		{"@RSYNCD: 26\n", "@ERROR: protocol version 26 is too old, it must be at least 27\n", 5},
		{"@RSYNCD: 30\n", "@ERROR: your client omitted the subprotocol value: @RSYNCD: 30\n", 5},
		{"@RSYNCD: 32.0\n", "@ERROR: your client omitted the digest name list: @RSYNCD: 32.0\n", 5},
		{"@RSYNCD: 32.0 md5\nother\n", "@ERROR: Unknown module 'other'\n", 5},
		{"@RSYNCD: 32.0 md5\nDATA\n", "@ERROR: Unknown module 'DATA'\n", 5},
		{"@RSYNCD: 32.0 md5\ndata \n", "@ERROR: Unknown module 'data '\n", 5},
		{"@RSYNCD: 32.0 md5\n\x1b[1m\n", "@ERROR: Unknown module '\\#033[1m'\n", 5},
		{"@RSYNCD: 32.0 md5\n#foo\n", "@ERROR: Unknown command '#foo'\n", 5},
		{"@RSYNCD: 32.0 md5\n#early_input=3\nabcother\n", "@ERROR: Unknown module 'other'\n", 5},
		{"@RSYNCD: 32.0 md5\n#early_input=0\n\n", "@ERROR: invalid early_input length\n", 5},
		{"@RSYNCD: 32.0 md5\n#early_input=5121\n\n", "@ERROR: invalid early_input length\n", 5},
		{"", "", exitStream},
		{"@RSYNCD: 32.0 md5\n", "", exitStream},
		{"@RSYNCD: 32.0 md5\nda\x00ta\n", "", exitProtocol},
		{"@RSYNCD: 32.0 md5\n" + strings.Repeat("x", maxOpeningLine+1) + "\n", "", exitProtocol},
		{"@RSYNCD: 32.0 md5\ndata\n", "@RSYNCD: OK\n", exitStream},
		{"@RSYNCD: 29.0\ndata\n-r\n.\ndata/\n\n", "@RSYNCD: OK\n", exitSyntax},
	} {
		got, stderr, res := serveDaemon(c.client)
		if got != ours+c.want || res.ExitStatus != c.status {
			t.Errorf("%q: %q, status %d, want %q, status %d; %v, %q", c.client, strings.TrimPrefix(got, ours), res.ExitStatus, c.want, c.status, res.Err, stderr)
		}
		if (res.ExitStatus == exitStartClient) != (res.Refused == "E-DAEMON") {
			t.Errorf("%q: refused %q, status %d", c.client, res.Refused, res.ExitStatus)
		}
	}
}

// A pre-release, N.1 and higher, may speak protocol N in another way.
func TestDaemonVersion(t *testing.T) {
	for greeting, want := range map[string]int{
		"@RSYNCD: 27": 27, "@RSYNCD: 29.0": 29, "@RSYNCD: 30.0": 30, "@RSYNCD: 31.0 md5": 31, "@RSYNCD: 32.0 md5": 32, "@RSYNCD: 40.0 md5": 32,
		"@RSYNCD: 31.14": 30, "@RSYNCD: 32.1 md5": 31, "@RSYNCD: 33.1 md5": 32,
	} {
		if _, _, res := serveDaemon(greeting + "\n\n"); res.Protocol != want || res.ExitStatus != 0 {
			t.Errorf("%s: protocol %d, want %d; %v", greeting, res.Protocol, want, res.Err)
		}
	}
}

// From protocol 31 on a client is told in the session why it is refused, and
// ends with our status.
func TestDaemonPush(t *testing.T) {
	got, stderr, res := serveDaemon("@RSYNCD: 32.0 md5\ndata\n--server\x00-re.iLsfxCIvu\x00.\x00data/\x00\x00\x03md5")
	for _, want := range []string{
		"ERROR: module is read only [E-RO]\n",
		"rsync error: syntax or usage error (code 1) [sender=rrserve]\n\x04\x00\x00\x5d\x01\x00\x00\x00", // MSG_ERROR_EXIT 1
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if stderr != "" || res.ExitStatus != exitSyntax || res.Refused != "E-RO" || res.Module != "data" {
		t.Errorf("%+v, stderr %q", res, stderr)
	}
}

// Without a module there is nothing to list or enter.
func TestDaemonWithoutModule(t *testing.T) {
	for request, want := range map[string]string{"": "@RSYNCD: EXIT\n", "data": "@ERROR: Unknown module 'data'\n"} {
		var out bytes.Buffer
		Serve(context.Background(), Config{
			Command: "rsync --server --daemon .", FS: recordedTree(),
			Stdin: strings.NewReader("@RSYNCD: 31.0\n" + request + "\n"), Stdout: &out, Stderr: &out, Abort: func() {},
		})
		if _, got, _ := strings.Cut(out.String(), "\n"); got != want {
			t.Errorf("%q: %q, want %q", request, got, want)
		}
	}
}
