package argv

import "rrserve/internal/rsyncproto/wire"

// ReadSecluded reads the arguments that a client with Pull.Secluded sends as
// the first bytes of its stream, before its protocol version: the program
// name, options, a dot and the arguments, each ended by NUL, and an empty
// string as the end. It completes p; arguments of the command line are
// dropped, as by the stock server. No string has shell syntax.
//
// Nothing may be written to the client before it returns. A string has at most
// MaxArg bytes; at most MaxArgs strings and 4 MiB are read. The error is a
// *Refusal or the Reader's. Each string goes through decode, which turns
// --iconv's UTF-8 into the character set of the tree;
// nil: unchanged.
func (p *Pull) ReadSecluded(r *wire.Reader, decode func(string) string) error {
	words, err := secludedWords(r, decode)
	if err != nil {
		return err
	}
	if refusal := p.options(words); refusal != nil {
		return refusal
	}
	p.complete()
	return nil
}

// secludedWords reads the arguments without the program's name.
func secludedWords(r *wire.Reader, decode func(string) string) ([]Word, error) {
	words, err := readStrings(r, r.CString)
	if len(words) > 0 {
		words = words[1:]
	}
	for i := range words {
		if decode != nil {
			words[i].text = decode(words[i].text)
		}
	}
	return words, err
}

// readStrings reads arguments up to an empty one, each with next, a method of
// r. The error is a *Refusal or the Reader's.
func readStrings(r *wire.Reader, next func(what string, limit int) []byte) ([]Word, error) {
	var words []Word
	for size := 0; ; {
		text := next("argument", MaxArg)
		if err := r.Err(); err != nil {
			return nil, err
		}
		if len(text) == 0 {
			return words, nil
		}
		size += len(text) + 1
		if size > maxSecluded || len(words) == MaxArgs {
			return nil, refuse(statusSyntax, CodeLimit, "more than %d arguments or %d bytes of them", MaxArgs, maxSecluded)
		}
		words = append(words, Word{text: string(text)})
	}
}
