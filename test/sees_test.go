package test

import (
	"os"
	"testing"

	"rrserve/internal/rrtest"
)

// TestDifferencesAreSeen runs the comparison against a server whose tree is
// wrong in one small thing each time, and demands that it is seen: a
// differential test that cannot fail proves nothing.
func TestDifferencesAreSeen(t *testing.T) {
	dir := rrtest.ScratchDir(t)
	f := &fixture{src: dir + "/src", copy: dir + "/copy", edited: dir + "/edited", aux: dir + "/aux"}
	rrtest.RichTree(t, f.src)
	duplicate(t, f.src, f.copy)
	makeAux(t, f.aux)
	wrong := dir + "/wrong"
	f.servers = [2]*rrtest.Server{rrtest.Sshd(t, f.src), rrtest.Sshd(t, wrong)}
	for _, c := range []struct {
		name   string
		dst    string
		line   string
		change func(e editor)
	}{
		{"content", empty, "-a rr: DST/", func(e editor) { e.write("a.txt", "the worst file\n", e.mtime("a.txt")) }},
		{"content where only deltas go", copied, "-aI --no-W rr: DST/", func(e editor) { e.write("a.txt", "the worst file\n", e.mtime("a.txt")) }},
		{"mode", empty, "-a rr: DST/", func(e editor) { e.check(os.Chmod(e.dir+"/sub/x.txt", 0o640)) }},
		{"mtime", empty, "-a rr: DST/", func(e editor) { e.write("a.txt", e.read("a.txt"), day(1)) }},
		{"hard link", empty, "-aH rr:hard DST/", func(e editor) {
			text, mtime := e.read("hard/h2"), e.mtime("hard/h2")
			e.remove("hard/h2")
			e.write("hard/h2", text, mtime)
		}},
		{"listing", empty, "-r --list-only rr:", func(e editor) { e.write("sub/one more", "", day(1)) }},
		{"dry run", empty, "-ain rr:", func(e editor) { e.write("sub/one more", "", day(1)) }},
		{"exit code and message", empty, "-a rr:d DST/", func(e editor) { e.remove("d") }},
		{"filter file", empty, "-aF rr: DST/", func(e editor) {
			e.write("filters/.rsync-filter", "- *.c\n", e.mtime("filters/.rsync-filter"))
		}},
		{"matched data", copied, "-aI --no-W --stats rr:data DST/", func(e editor) {
			e.write("data/noise.bin", rrtest.Noise(99, 700_001), e.mtime("data/noise.bin"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			duplicate(t, f.src, wrong)
			defer rrtest.RemoveAll(wrong)
			c.change(editor{t, wrong})
			command := command{name: c.name, dst: c.dst, line: c.line}
			want, got := f.run(t, command, "rsync", f.servers[0]), f.run(t, command, "rsync", f.servers[1])
			if len(differences(want, got)) == 0 {
				t.Errorf("%s: the change was not seen", c.line)
			}
		})
	}
}
