package fuzz

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/delta/deltatest"
	"rrserve/internal/rsyncproto/wire"
)

// dialogue makes the client's side of a session that is in step with the
// server, whatever bytes it is made of: bytes flipped in a recording mostly
// break its frames.
type dialogue struct {
	v     wire.Version
	caps  byte   // a bit for each letter of capabilities
	picks []byte // indexes of options: go's fuzzer changes bytes in more ways than numbers
	args  string // path arguments, in shell syntax
	rules string // one per line
	names string // of --files-from, one per line
	raw   []byte // requests as they come
	steps []byte // requests that are in step, and what comes between them

	attributes, xattrs bool // made by conversation: what is asked for
}

const capabilities = "iLsfxCvu"

// options are what changes the session. No two are alike in what they do.
var options = [...]string{
	"-r", "-d", "-R", "-l", "-L", "-k", "-H", "-o", "-g", "-D", "-c", "-U", "-UU", "-X", "-XX", "-A", "-n", "-z", "-x", "-xx", "-C",
	"-v", "-vv", "-b", "-0", "-q", "-s",
	"--copy-unsafe-links", "--no-implied-dirs", "--numeric-ids", "--ignore-errors", "--ignore-missing-args", "--delete-missing-args",
	"--inplace", "--append", "--append-verify", "--old-compress", "--new-compress", "--compress-choice=lz4", "--compress-choice=zstd",
	"--checksum-choice=md5", "--checksum-choice=none,xxh3", "--checksum-choice=sha1", "--checksum-choice=xxh64", "--iconv=iso-8859-1",
	"--iconv=gb18030", "--munge-links", "--list-only", "--no-inc-recursive", "--files-from=-", "--files-from=srv/names", "--timeout=60",
	"--compress-level=1", "--checksum-seed=-1", "--open-noatime", "--no-relative", "--no-l", "--no-timeout", "--no-r", "--protocol=31",
	"--protocol=28", "--safe-links", "-N", "--remove-source-files", "--fake-super",
}

// maxPicks bounds the options of a dialogue.
const maxPicks = 40

// pick returns the indexes of some options.
func pick(names ...string) []byte {
	var picks []byte
	for _, name := range names {
		i := slices.Index(options[:], name)
		if i < 0 {
			panic("no option " + name)
		}
		picks = append(picks, byte(i))
	}
	return picks
}

func (d *dialogue) letters() string {
	var b strings.Builder
	for i := range len(capabilities) {
		if d.caps>>i&1 != 0 {
			b.WriteByte(capabilities[i])
		}
	}
	return b.String()
}

// conversation returns the command line and the bytes.
func (d *dialogue) conversation() conversation {
	words := []string{"rsync --server --sender"}
	if d.v.Varints() {
		words = append(words, "-e."+d.letters())
	}
	for _, i := range d.picks[:min(len(d.picks), maxPicks)] {
		words = append(words, options[int(i)%len(options)])
	}
	c := conversation{command: strings.Join(append(words, ".", d.args), " ")}
	pull, err := argv.Parse(c.command)
	if err != nil {
		return c
	}
	d.attributes, d.xattrs = pull.ACLs || pull.Xattrs > 0 || pull.FakeSuper, pull.Xattrs > 0
	var b bytes.Buffer
	if pull.Secluded {
		for _, word := range append(words[1:], ".", d.args, "") {
			b.WriteString(word + "\x00")
		}
	}
	d.handshake(&b, pull)
	d.rest(&b, pull)
	c.client = b.Bytes()
	return c
}

// handshake writes the version and the lists of algorithms.
func (d *dialogue) handshake(b *bytes.Buffer, pull *argv.Pull) {
	if pull.Protocol != 0 {
		d.v = min(d.v, wire.Version(pull.Protocol))
	}
	w := wire.NewWriter(b)
	w.Int(int32(d.v))
	if d.v.Varints() && pull.Caps.Has('v') {
		if pull.NegotiatesChecksum() {
			w.Vstring([]byte("bogus md5 xxh64"))
		}
		if pull.WantsCompression() && pull.ExplicitCompress() == "" {
			w.Vstring([]byte("zlibx zstd"))
		}
	}
	w.Flush()
}

// rest writes all that follows: rules, names, requests, goodbye.
func (d *dialogue) rest(b *bytes.Buffer, pull *argv.Pull) {
	w := d.writer(b)
	for _, rule := range split(d.rules) {
		w.Int(int32(len(rule)))
		w.WriteString(rule)
	}
	w.Int(0)
	w.Flush()
	if pull.FilesFrom && pull.FilesFromPath == "" {
		if w = wire.NewWriter(b); d.v.FramedNames() {
			w = d.writer(b)
		}
		for _, name := range split(d.names) {
			w.WriteString(name + "\x00")
		}
		w.Byte(0)
		w.Flush()
	}
	w = d.writer(b)
	w.Write(d.raw)
	for s := (&script{d.steps}); len(s.left) > 0; {
		d.request(w, s, d.blockSums(pull))
	}
	for range 12 {
		w.Ndx(d.v, wire.NdxDone)
	}
	w.Flush()
}

// writer returns a Writer of what the client frames, where it does.
func (d *dialogue) writer(b *bytes.Buffer) *wire.Writer {
	w := wire.NewWriter(b)
	if d.v.Varints() {
		w.Frame()
	}
	return w
}

// blockSums is how the strong sums of blocks are made after handshake.
func (d *dialogue) blockSums(pull *argv.Pull) checksum.Config {
	c := checksum.Config{Algorithm: checksum.Implied(d.v), Seed: 1, SeedFirst: pull.Caps.Has('C')}
	if pull.Caps.Has('v') && d.v.Varints() {
		c.Algorithm = checksum.MD5
	}
	if choice, err := checksum.ParseChoice(pull.ChecksumChoice, d.v); err == nil {
		c.Algorithm, c.SeedFirst = choice.Transfer, true
	}
	return c
}

// request writes one step of a script.
func (d *dialogue) request(w *wire.Writer, s *script, sums checksum.Config) {
	switch step := s.byte(); step % 16 {
	case 0:
		w.Ndx(d.v, wire.NdxDone)
	case 1, 2, 3:
		d.item(w, s, 0xa000, func() { w.Write(deltatest.Head(0, 0, 0, 0)) })
	case 4, 5, 6:
		d.item(w, s, 0x8000, func() {
			basis := fileData[:int(s.byte())*len(fileData)/255] + strings.Repeat("x", int(s.byte()))
			n := sums.Algorithm.Size()
			w.Write(deltatest.Request(sums, []byte(basis), 1+int(s.byte())*8, max(2, n-int(s.byte())%16)))
		})
	case 7:
		d.item(w, s, 0x8000, func() {
			w.Write(deltatest.Head(s.number(), s.number(), s.number(), s.number()))
			w.Write(s.bytes(int(s.byte())))
		})
	case 8:
		flags := uint16(s.byte())<<8 | uint16(s.byte())
		d.item(w, s, flags, func() { w.Write(deltatest.Head(0, 0, 0, 0)) })
	case 9: // values of attributes
		d.item(w, s, 0x0100|uint16(s.byte())<<8, func() { w.Write(deltatest.Head(0, 0, 0, 0)) })
	case 10:
		w.Ndx(d.v, wire.NdxDelStats)
		for range 5 {
			w.Varint(int32(s.number()))
		}
	case 11: // a keep-alive of protocol 29
		w.Ndx(d.v, int32(s.byte()))
		w.Short(0x2000)
	case 12:
		w.Ndx(d.v, int32(s.number()))
	case 13:
		if d.v.Varints() {
			w.Message(wire.Code(s.byte()), s.bytes(int(s.byte())))
		}
	case 14:
		w.Write(s.bytes(int(s.byte())))
	case 15:
		w.Flush()
	}
}

// item writes a request with what its flags announce.
func (d *dialogue) item(w *wire.Writer, s *script, flags uint16, sums func()) {
	w.Ndx(d.v, int32(s.byte()))
	if d.v.Items() {
		w.Short(flags)
		if flags&0x0800 != 0 {
			w.Byte(s.byte())
		}
		if flags&0x1000 != 0 {
			w.Vstring(s.bytes(int(s.byte())))
		}
		if flags&0x0100 != 0 && d.xattrs {
			for n := s.byte() % 4; n > 0; n-- {
				w.Varint(int32(s.byte() % 8))
			}
			w.Varint(0)
		}
	}
	if flags&0x8000 != 0 || !d.v.Items() {
		sums()
	}
}

// script is bytes that are read one after the other; there are zeros at the end.
type script struct{ left []byte }

func (s *script) byte() byte {
	if len(s.left) == 0 {
		return 0
	}
	b := s.left[0]
	s.left = s.left[1:]
	return b
}

func (s *script) bytes(n int) []byte {
	p := s.left[:min(n, len(s.left))]
	s.left = s.left[len(p):]
	return p
}

// number is mostly small or at a bound.
func (s *script) number() int {
	switch b := s.byte(); {
	case b < 200:
		return int(b)
	case b < 210:
		return 1 << (b - 195)
	case b < 230:
		return int(int32(1<<31 - 1 + int(b-220)))
	default:
		return int(int32(binary.LittleEndian.Uint32(append(s.bytes(4), 0, 0, 0, 0))))
	}
}

// split returns the lines of text that are not empty: an empty rule or name is
// the end of the list.
func split(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == '\n' })
}

// dialogues are what every protocol version starts from.
var dialogues = []dialogue{
	{caps: 0xff, picks: pick("-r", "-l", "-o", "-g", "-D"), args: "srv/tree/d/", steps: []byte{1, 1, 1, 2, 4, 3, 200, 9, 10, 0, 0, 1, 3}},
	{caps: 0xfe, picks: pick("-r", "-l", "-H", "-c", "--numeric-ids", "-vv"), args: "/ ic", rules: "+ */\n: .rsync-filter\n-! *.txt\nP x", steps: []byte{7, 4, 255, 255, 16, 0, 3, 1, 2, 3}},
	{caps: 0xff, picks: pick("-d", "-R", "--files-from=-"), args: "srv", names: "tree/d/a.txt\n../../tree/./x/\nnone\n/\n\xff", steps: []byte{1, 0, 13, 49, 0, 15, 13, 29, 4, 1, 2, 3, 4}},
	{caps: 0xff, picks: pick("-r", "--files-from=srv/names", "--no-relative"), args: "srv/tree", steps: []byte{0}},
	{caps: 0xff, picks: pick("-r", "-X", "-A", "-z"), args: "ax/ x2/ srv/tree/d", rules: "-x user.s*", steps: []byte{9, 0x80, 1, 2, 1, 1, 0x81, 1, 1, 1, 1, 5, 1, 255, 30, 20, 2}},
	{caps: 0x70, picks: pick("-r", "-XX", "--compress-choice=lz4"), args: "ax x2", steps: []byte{8, 0xd9, 0, 1, 0x80, 3, 'a', 'b', 'c', 0, 4, 1, 200, 7, 5, 0}},
	{caps: 0xff, picks: pick("-r", "-L", "-k", "--copy-unsafe-links", "-v", "-x"), args: "{srv/tree/d,srv/tree/x}/* absolute ~/srv/tree/d/out*", rules: ":C\n:ns- .more\n. names\n-C"},
	{caps: 0xff, picks: pick("-r", "-k", "-xx", "--inplace", "--compress-choice=zstd"), args: "srv/tree/d/ srv/tree/d/etc", steps: []byte{4, 4, 255, 0, 100, 0, 0, 0, 6, 4, 100, 9, 50, 3}},
	{caps: 0xff, picks: pick("-r", "--append"), args: "srv/tree/x/", steps: []byte{7, 1, 2, 100, 16, 0, 0, 2, 2, 1}},
	{caps: 0xff, picks: pick("-r", "--append-verify", "-b", "--old-compress"), args: "srv/tree/x/", steps: []byte{7, 2, 3, 100, 16, 0, 0, 2, 2, 1}},
	{caps: 0xff, picks: pick("-r", "-n", "-U", "--ignore-errors"), args: "none srv/tree/e/", steps: []byte{1, 1, 1, 2, 10, 1, 2, 3, 4, 5, 0}},
	{caps: 0xff, picks: pick("-r", "-l", "-UU", "--iconv=iso-8859-1", "-s", "--munge-links"), args: "ic/", steps: []byte{1, 2, 14, 2, 1, 1}},
	{caps: 0xff, picks: pick("-r", "-l", "--iconv=gb18030", "--checksum-choice=sha1"), args: "srv/tree/d/", rules: "- /*/\n+ ?[!a-b]*\n- **", steps: []byte{11, 9, 12, 205}},
	{caps: 0xff, picks: pick("-d", "-R", "--no-implied-dirs", "--delete-missing-args", "-C"), args: "none /srv/./tree/d/ srv/tree/d/./sub/b.txt", steps: []byte{1, 1, 12, 255, 1, 2, 3, 4}},
	{caps: 0xff, picks: pick("-l", "-D", "--list-only", "--ignore-missing-args", "--checksum-choice=none,xxh3"), args: "none srv/tree/d/* srv"},
	{caps: 0xff, picks: pick("-r", "--new-compress", "--compress-level=1", "--timeout=60"), args: ".", steps: []byte{1, 9, 1, 13, 1, 12, 1, 14, 0, 0, 1, 9, 0, 0, 0, 12}},
	{caps: 0xff, picks: pick("-r", "-l", "--munge-links"), args: "srv/tree/d/", steps: []byte{8, 0x88, 0, 1, 0x81, 8, 0x89, 0, 2, 0x81}},
	{caps: 0xff, picks: pick("-r", "--files-from=srv/names"), args: "none"},
	{caps: 0xff, picks: pick("-r", "-C", "-X"), args: "/srv/tree/./d/ srv/tree/x", rules: "include a\nshow b\nprotect c\ndir-merge .more\nmerge srv/names\nrisk,p d"},
	{caps: 0xff, picks: pick("-r"), args: "srv/tree/d/", rules: "- " + strings.Repeat("x", 4100)},
	{caps: 0xff, picks: pick("-r", "-H", "-D", "-vv"), args: "srv/tree/x srv/tree/d srv/tree/d /srv/tree/x/", steps: []byte{10, 1, 1, 1, 1, 1}},
	{caps: 0xff, picks: pick("-r", "-R"), args: "/ srv/tree/d/n* /srv//tree/./x/../x"},
	{caps: 0xff, picks: pick("-l"), args: "srv/tree srv/tree/d/ln srv/tree/d/a.txt/x", rules: "- none"},
	{caps: 0xff, picks: pick("-L", "-d"), args: "srv/tree/d/none srv/tree/d/none2 none", rules: "- none"},
	{caps: 0xff, picks: pick("-r", "-c", "--checksum-choice=sha1"), args: "srv/tree/x/", steps: []byte{4, 2, 200, 9, 10, 0, 4, 3, 255, 0, 100, 3}},
	{caps: 0xff, picks: pick("-r", "-c", "--checksum-choice=xxh64"), args: "srv/tree/x/", steps: []byte{4, 2, 200, 9, 10, 0, 4, 3, 255, 0, 100, 3}},
	{caps: 0xff, picks: pick("-r", "--checksum-choice=none,xxh3"), args: "srv/tree/x/", steps: []byte{4, 2, 200, 9, 10, 0, 4, 3, 255, 0, 100, 3}},
	{caps: 0xff, picks: pick("-r", "-c", "--checksum-choice=md5", "--inplace"), args: "srv/tree/x/", steps: []byte{4, 2, 200, 9, 10, 14, 4, 3, 255, 0, 100, 14}},
	{caps: 0xff, picks: pick("-r", "-z", "-XX", "-A"), args: "ax/ x2/", steps: []byte{1, 2, 1, 3, 1, 4, 1, 5, 9, 0x80, 2, 2, 1, 1}},
	{caps: 0xff, picks: pick("-r", "-z"), args: "srv/tree/x/", steps: []byte{0, 0, 0, 0, 0, 0, 10, 1, 2, 3, 4, 5, 12, 2}},
	{caps: 0xff, picks: pick("-r", "-l", "-D", "-o", "-g", "--fake-super", "-A", "-X"), args: "fake/ srv/tree/e/", steps: []byte{1, 2, 1, 3, 1, 4, 1, 5}},
	{caps: 0xff, picks: pick("-r", "-L", "-D", "--fake-super"), args: "fake/ fake/link fake/file/ fake-bad", steps: []byte{1, 3}},
	{caps: 0xff, picks: pick("-r", "--remove-source-files"), args: "."},
	{caps: 0xff, picks: pick("-r", "-l", "-A", "-vv", "-o", "-g"), args: "srv/tree/e/", steps: []byte{1, 1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1, 8}},
	{caps: 0xff, picks: pick("-r", "-l", "-X", "--iconv=iso-8859-1", "-x", "-k"), args: "srv/tree/e/ srv/tree/e/mounted/f"},
	{caps: 0xfd, picks: pick("-r", "-l", "-XX", "-xx", "--iconv=gb18030", "--copy-unsafe-links"), args: "srv/tree/e/ srv/tree/x", steps: []byte{9, 0x81, 2, 3, 1, 1, 1}},
	{caps: 0xff, picks: pick("-r", "-A", "--copy-unsafe-links", "-v", "-R", "-l"), args: "srv/./tree/d/", rules: "- " + strings.Repeat("x", 4100) + "\n- [[:digit:]]*\n-s/ /srv\n. srv/names"},
	{caps: 0xff, picks: pick("-d", "--files-from=-"), args: "srv/names", names: "x"},
	{caps: 0xff, picks: pick("-d", "--files-from=-"), args: "none", names: "x"},
	{caps: 0xff, picks: pick("-r", "-l"), args: "srv/names/ srv/names/. none/x srv/tree/e/priv/x"},
	{caps: 0xff, picks: pick("-r", "-l"), args: "srv/tree/d", steps: []byte{13, 86, 4, 1, 2, 3, 4}},
	{caps: 0xff, picks: pick("-r", "-l"), args: "srv/tree/d", steps: []byte{13, 22, 4, 1, 0, 0, 0, 13, 1, 5, 'e', 'r', 'r', 'o', 'r', 13, 42, 0, 13, 99, 1, 0}},
}

// FuzzDialogue plays sessions of every protocol version that get far, over the
// tree on disk, or in memory when they ask for attributes, which a disk need not
// have. What the client's first rule hides is not sent.
func FuzzDialogue(f *testing.F) {
	for _, d := range dialogues {
		for v := wire.MinVersion; v <= wire.MaxVersion; v++ {
			f.Add(byte(v), d.caps, d.picks, d.args, d.rules, d.names, d.steps)
		}
	}
	// Each entry of directories in which something is hidden or most cannot be
	// sent, and what comes behind the last one.
	for ndx := range byte(25) {
		for _, rules := range []string{"", ": hidden", ":- hidden\n+ hidden", "+ *\n. srv/tree/d/hidden"} {
			f.Add(byte(32), byte(0xff), pick("-r"), "srv/tree/d/", rules, "", []byte{1, ndx})
		}
		for _, v := range []byte{28, 32} {
			f.Add(v, byte(0xff), pick("-r", "-l", "-X", "-D", "--append"), "srv/tree/e/", "", "", []byte{1, ndx, 0})
			f.Add(v, byte(0xfe), pick("-r", "-l", "-A"), "srv/tree/e/", "", "", []byte{7, ndx, 2, 100, 16, 0, 0})
		}
		f.Add(byte(29), byte(0xff), pick("-r", "-l", "--append-verify"), "srv/tree/e/", "", "", []byte{11, ndx, 0, 7, ndx, 2, 100, 16, 0, 0})
		f.Add(byte(31), byte(0xff), pick("-r", "-A"), "srv/tree/v/", "", "", []byte{1, ndx % 4, 0})
	}
	disk, memory := diskTree(f), memoryTree()
	f.Fuzz(func(t *testing.T, version, caps byte, picks []byte, args, rules, names string, steps []byte) {
		d := dialogue{clampVersion(version), caps, picks, args, "- hidden\n" + rules, names, nil, steps, false, false}
		c := d.conversation()
		if c.tree = disk; d.attributes {
			c.tree = memory
		}
		if c.costly() {
			return
		}
		e := c.play(t)
		e.sameAs(t, c.play(t))
		d.checkHidden(t, e)
	})
}

// clampVersion makes any byte a version.
func clampVersion(b byte) wire.Version {
	return wire.MinVersion + wire.Version(b-byte(wire.MinVersion))%(wire.MaxVersion-wire.MinVersion+1)
}

// checkHidden holds a session to the first rule, "- hidden". Rules in files of
// the tree do not lift it, and what is hidden may be named as such a file and
// is not shown then either. Only a rule that clears the list lifts it.
func (d *dialogue) checkHidden(t *testing.T, e ending) {
	t.Helper()
	lifted := strings.Contains(d.rules, "!") || strings.Contains(d.rules, "clear")
	if !lifted && bytes.Contains(e.out, []byte(hidden[:20])) {
		t.Error("a hidden file is sent")
	}
}
