package fuzz

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSession feeds a whole session with what a client may send, over a tree
// on disk with links that lead out of it.
func FuzzSession(f *testing.F) {
	for _, r := range recordings(f, "*") {
		f.Add(r.command, r.client)
	}
	for _, command := range []string{
		"rsync --server --sender -logDtprLk --protocol=27 . srv/tree/d/",
		"rsync --server --sender -logDtprL --protocol=28 . absolute srv/tree/d/out srv/tree/d/outdir/ srv/tree/d/up",
		"rsync --server --sender -logDtprR --copy-unsafe-links --protocol=27 . /srv/tree/./d/ {hidden,srv}/tree/* ~/srv",
	} {
		f.Add(command, []byte("\x1b\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	}
	tree := diskTree(f)
	f.Fuzz(func(t *testing.T, command string, client []byte) {
		c := conversation{tree, command, client}
		if c.costly() {
			return
		}
		c.play(t).sameAs(t, c.play(t))
	})
}

// recording is what a real client sent.
type recording struct {
	command string
	client  []byte
}

// recordings returns those whose name matches, and fails when there is none.
func recordings(f *testing.F, pattern string) (all []recording) {
	f.Helper()
	names, _ := filepath.Glob("../internal/rsyncproto/testdata/transcript/" + pattern + ".txt")
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(f, err)
		_, rest, _ := strings.Cut(string(text), "\nexec: ")
		command, rest, _ := strings.Cut(rest, "\n")
		_, rest, _ = strings.Cut(rest, "client:\n")
		hexText, _, _ := strings.Cut(rest, "server:")
		client, err := hex.DecodeString(strings.Join(strings.Fields(hexText), ""))
		must(f, err)
		all = append(all, recording{command, client})
	}
	if len(all) == 0 {
		f.Fatalf("no recordings called %s to begin with", pattern)
	}
	return all
}
