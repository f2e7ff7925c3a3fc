package argv

import (
	"slices"
	"strings"

	"rrserve/internal/rsyncproto/wire"
)

// nullWord is what rsync 3.5.0 sends in place of the end of its options when
// it is run with -s and speaks a protocol below 30: a null pointer, printed.
const nullWord = "(null)"

// isDaemon reports whether words are what a client sends for host::module and
// for rsync:// with a remote shell: nothing but these three.
func isDaemon(words []Word) bool {
	return slices.EqualFunc(words, []string{"--server", "--daemon", "."}, func(w Word, s string) bool { return w.text == s })
}

// ReadDaemon reads the arguments that a client with Pull.Daemon sends when its
// module was accepted: options, a dot and the arguments, each ended by NUL, by
// LF below protocol 30, and an empty one as the end. With -s, which is among
// the options, the arguments proper follow as for ReadSecluded. It completes p;
// the name of the module in front of the arguments is dropped. No string has
// shell syntax. Its bounds are those of ReadSecluded, for either list; decode
// is for the second one.
//
// A refusal leaves the stream behind the arguments and p as far as it was
// understood, so that the client can be told in the session that it awaits.
// The error is the Reader's, or a *Refusal after which the stream is lost.
func (p *Pull) ReadDaemon(r *wire.Reader, v wire.Version, module string, decode func(string) string) (refusal *Refusal, err error) {
	next := r.Line
	if v.NULArgs() {
		next = r.CString
	}
	words, err := readStrings(r, next)
	if err != nil {
		return nil, err
	}
	refusal = p.options(words)
	p.ownCharset()
	if p.Secluded {
		if words, err = secludedWords(r, decode); err != nil {
			return nil, err
		}
		if again := p.options(words); refusal == nil {
			refusal = again
		}
		p.ownCharset()
	}
	p.Args = moduleArgs(p.Args, module)
	p.complete()
	if !p.sender {
		refusal = &Refusal{statusSyntax, CodeReadOnly, "ERROR: module is read only [" + string(CodeReadOnly) + "]\n"}
	}
	return refusal, nil
}

// ownCharset drops the name in a daemon's --iconv: clients send that of their
// own character set there, and leave ours to us.
func (p *Pull) ownCharset() {
	if p.Iconv != "" {
		p.Iconv = "."
	}
}

// moduleArgs makes names relative to the module of the arguments. The first
// begins with the module's name, further ones need not. A blank before the name
// separates arguments too, which is how clients before 3.0 named several
// sources: host::'data/a data/b'. Later clients write such a blank as [ ].
func moduleArgs(words []Word, module string) []Word {
	var args []Word
	for _, w := range words {
		name := w.text
		if rest, ok := strings.CutPrefix(name, module); ok && (rest == "" || rest[0] == '/') {
			name = rest
		}
		for part := range strings.SplitSeq(name, " "+module+"/") {
			if part = strings.TrimLeft(part, "/"); part == "" {
				part = "."
			}
			args = append(args, Word{text: part})
		}
	}
	return args
}
