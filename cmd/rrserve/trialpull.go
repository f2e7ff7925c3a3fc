package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	"rrserve/internal/trial"
)

const (
	// trialUser is the SSH user name of a trial pull, which is no backup. The
	// server counts it as a dry run.
	trialUser = "rrserve-check"
	// stallTimeout is how long the server may be silent in a pull.
	stallTimeout = 2 * time.Minute
	// maxStderr bounds what is kept of the server's standard error, in bytes.
	maxStderr = 16 << 10
)

// rsyncClient is a client for one pull.
type rsyncClient struct {
	options []string // of the server's command line, the path included
	// run pulls into the directory dir through the stream.
	run func(ctx context.Context, stream io.ReadWriter, dir string) error
}

// trialPull is a pull from the running server as a client would do it.
type trialPull struct {
	path     string // as rsync names it; "": no pull
	identity string // file
	address  string // "": that of --listen
	signer   ssh.Signer
}

func (p *trialPull) register(f *pflag.FlagSet) {
	f.StringVar(&p.path, "pull", "", "also pull `PATH` from the running server; everything, if none is given")
	f.Lookup("pull").NoOptDefVal = "./"
	f.StringVar(&p.identity, "identity", "", "log in for --pull with the private key in this `FILE`")
	f.StringVar(&p.address, "address", "", addressUsage)
}

// load reads the private key, while it is within reach.
func (p *trialPull) load() error {
	if p.path == "" {
		return nil
	}
	data, err := os.ReadFile(p.identity)
	if err == nil {
		p.signer, err = parseIdentity(data)
	}
	if err != nil {
		return configf("--identity %s: %w", p.identity, bare(err))
	}
	return nil
}

// parseIdentity reads a client's private key.
func parseIdentity(data []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(data)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		return nil, errors.New("the key has a passphrase; make one without for this, and give it a line in the list of keys")
	}
	if err != nil {
		return nil, fmt.Errorf("not a private key: %w", err)
	}
	return signer, nil
}

// pull runs the pull and reports how it went.
func (r *report) pull(ctx context.Context, o *options, p *trialPull, known []hostKeyFile, keys []listedKey) {
	if p.address == "" {
		p.address = o.listen
	}
	r.section("PULL of " + p.path + " from " + p.address)
	address, err := reachable(p.address)
	if err != nil {
		r.problem("%v", err)
		return
	}
	fingerprint := ssh.FingerprintSHA256(p.signer.PublicKey())
	server, err := dialServer(ctx, address, &ssh.ClientConfig{
		User:          cmp.Or(o.user, trialUser),
		Auth:          []ssh.AuthMethod{ssh.PublicKeys(p.signer)},
		ClientVersion: "SSH-2.0-rrserve_check",
	}, known)
	if err != nil && server.hostKey == "" {
		r.problem("%s: %v", address, err)
		return
	}
	if len(known) == 0 {
		r.row("host key", server.hostKey, "not compared: the file of the server's own was not read")
	}
	if err != nil {
		r.problem("%s does not let the key %s in, %s (%v)", address, fingerprint, whoseKey(fingerprint, keys), err)
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	t := &attempt{stream: new(trial.Stream), within: func(d time.Duration) { server.conn.SetDeadline(time.Now().Add(d)) }}
	err = t.pull(ctx, server.Client, p.path)
	r.row("login", fingerprint, whoseKey(fingerprint, keys))
	r.row("arrived", fmt.Sprintf("files %d, bytes %d", t.files, t.bytes))
	if errors.Is(err, trial.ErrEnough) {
		err = nil
		r.row("stopped", fmt.Sprintf("there is more than %d files or %d MiB: --pull=PATH pulls another part", trial.MaxFiles, trial.MaxBytes>>20))
	}
	r.said(t, err)
}

// said reports what went wrong in a trial, in the server's words if it has any.
func (r *report) said(t *attempt, err error) {
	found := t.stream.Findings()
	lines := append(found.Texts, strings.Split(strings.TrimSpace(t.stderr.String()), "\n")...)
	lines = slices.DeleteFunc(lines, func(s string) bool { return strings.TrimSpace(s) == "" })
	for _, line := range lines[:min(len(lines), maxNamed)] {
		r.problem("the server said: %q", line)
	}
	if more := len(lines) - maxNamed + found.More; more > 0 {
		r.problem("and said %d more", more)
	}
	local := (*fs.PathError)(nil) // of which the server knows nothing
	if err != nil && (len(lines) == 0 || errors.As(err, &local)) {
		r.problem("the pull failed: %v", err)
	}
}

// whoseKey says whether the server is meant to know a key.
func whoseKey(fingerprint string, keys []listedKey) string {
	for i := range keys {
		if keys[i].Fingerprint == fingerprint {
			return fmt.Sprintf("the client %s of %s", keys[i].Name, keys[i].where())
		}
	}
	return "which is in none of the lists of keys"
}

// attempt is one run of the client.
type attempt struct {
	within       func(time.Duration) // bounds what is waited for from now on
	stream       *trial.Stream
	stderr       headBuffer
	files, bytes int64 // that arrived
}

// pull pulls path into a directory that does not outlive it.
func (t *attempt) pull(ctx context.Context, client *ssh.Client, path string) error {
	dir, err := os.MkdirTemp("", "rrserve-check-")
	if err != nil {
		return err
	}
	defer removeTree(dir)
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	session.Stderr = &t.stderr
	stdin, err := session.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		return err
	}
	t.stream = trial.NewStream(stdout, stdin, func() { t.within(stallTimeout) })
	rsync, err := newRsyncClient(quoteWord(path))
	if err != nil {
		return err
	}
	if err := session.Start("rsync " + strings.Join(rsync.options, " ")); err != nil {
		return err
	}
	err = rsync.run(ctx, t.stream, dir)
	t.files, t.bytes = measureTree(dir)
	if found := t.stream.Findings(); found.Err != nil {
		return found.Err
	}
	stdin.Close()
	t.within(answerTimeout)
	ended := session.Wait()
	if exit := (*ssh.ExitError)(nil); err == nil || errors.Is(err, io.EOF) && errors.As(ended, &exit) {
		return ended
	}
	return err
}

// quoteWord writes a word for the server's reading of the command line. A name
// with wildcards is left to it.
func quoteWord(word string) string {
	if strings.ContainsAny(word, "*?[{") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// measureTree counts the regular files below dir and their bytes.
func measureTree(dir string) (files, bytes int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files, bytes = files+1, bytes+info.Size()
		}
		return nil
	})
	return files, bytes
}

// removeTree removes a directory in which others have the modes of the served
// ones.
func removeTree(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// headBuffer keeps the beginning of what is written to it, maxStderr bytes.
type headBuffer struct{ bytes.Buffer }

func (b *headBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxStderr-b.Len())])
	return len(p), nil
}
