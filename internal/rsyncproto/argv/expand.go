package argv

import (
	"slices"
	"strings"
)

// budget bounds what one command line may make of its arguments.
type budget struct {
	results int // arguments made so far
	bytes   int // their length
	entries int // directory entries looked at
	words   int // bytes of all words made on the way, with their overhead
}

var errTooMany = refuse(statusSyntax, CodeLimit, "the arguments stand for more than %d names or %d bytes of them", MaxArgs, maxExpanded)

func (b *budget) result(name string) error {
	b.results++
	b.bytes += len(name)
	if b.results > MaxArgs || b.bytes > maxExpanded {
		return errTooMany
	}
	return nil
}

// word counts a word of n bytes made from braces. All of them count, also
// those of which others were made, so this bounds the time as well.
func (b *budget) word(n int) error {
	const overhead = 64
	if b.words += n + overhead; b.words > 2*maxExpanded {
		return errTooMany
	}
	return nil
}

func (b *budget) compare(entries int) error {
	if b.entries += entries; b.entries > maxEntries {
		return refuse(statusSyntax, CodeLimit, "the wildcards look at more than %d directory entries", maxEntries)
	}
	return nil
}

// Expand returns the arguments as strings of the tree's own bytes: braces,
// tilde and wildcards expanded as a shell would, or, when Secluded or Daemon,
// wildcards by rsync's own rules. Names keep the client's spelling, such as a leading
// "./" or "/", "/./" within and a slash at the end; both "/a" and "a" mean "a"
// beneath the root. A word that matches nothing stays as it is. There is
// always at least one argument, "." when the client gave none, and exactly one
// with FilesFrom.
//
// At most MaxArgs arguments are returned, each 1..MaxArg bytes long and free
// of ".." components. The error is a *Refusal.
func (p *Pull) Expand(tree Lister) ([]string, error) {
	expand := p.expandShell
	if p.Secluded || p.Daemon {
		expand = p.expandSecluded
	}
	var out []string
	b := &budget{}
	for _, w := range p.Args {
		if w.text == "" {
			w.text = "." // as in rsync
		}
		names, err := expand(w, tree, b)
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	if len(out) == 0 {
		out = []string{"."}
	}
	if p.FilesFrom && len(out) > 1 {
		return nil, refuse(statusSyntax, CodePath, "--files-from takes one directory, not %d arguments", len(out))
	}
	return out, nil
}

// expandShell expands a word of the command line.
func (p *Pull) expandShell(w Word, tree Lister, b *budget) ([]string, error) {
	words, err := expandBraces(w, b)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, w := range words {
		if w.text == "" {
			continue // a shell drops an empty word that is not quoted
		}
		w = p.unalias(expandTilde(w))
		if err := checkName(w.text); err != nil {
			return nil, err
		}
		names := []string(nil)
		if parts, wild := shellParts(w); wild {
			g := globber{tree: tree, budget: b}
			if names, err = g.glob(parts); err != nil {
				return nil, err
			}
		}
		if len(names) == 0 {
			names = []string{w.text}
			if err := b.result(w.text); err != nil {
				return nil, err
			}
		}
		out = append(out, names...)
	}
	return out, nil
}

// unalias is Unalias for a word, whose other bytes stay quoted as they are.
func (p *Pull) unalias(w Word) Word {
	rest := p.Unalias(w.text)
	switch {
	case len(rest) == len(w.text):
		return w
	case len(rest) == 1:
		return Word{text: "/"}
	}
	return w.slice(len(w.text)-len(rest), len(w.text))
}

// expandTilde replaces an unquoted ~ in front by the login directory, which is
// the root. The directory of another user does not exist here, ~name stays.
func expandTilde(w Word) Word {
	switch {
	case !w.bare(0, '~'):
		return w
	case len(w.text) == 1:
		return Word{text: "/"}
	case w.bare(1, '/'):
		return w.slice(1, len(w.text))
	}
	return w
}

// expandSecluded expands an argument that was sent without shell syntax.
func (p *Pull) expandSecluded(w Word, tree Lister, b *budget) ([]string, error) {
	w = p.unalias(w)
	if err := checkName(w.text); err != nil {
		return nil, err
	}
	arg := collapseSlashes(w.text)
	if parts, wild := wildParts(arg); wild {
		g := globber{tree: tree, budget: b, secluded: true}
		names, err := g.glob(parts)
		if err != nil || len(names) > 0 {
			return names, err
		}
	}
	return []string{arg}, b.result(arg)
}

func collapseSlashes(s string) string {
	if !strings.Contains(s, "//") {
		return s
	}
	var out []byte
	for _, c := range []byte(s) {
		if c != '/' || len(out) == 0 || out[len(out)-1] != '/' {
			out = append(out, c)
		}
	}
	return string(out)
}

// checkName refuses an argument that no name of a tree can match.
func checkName(name string) error {
	if len(name) > MaxArg {
		return refuse(statusSyntax, CodePath, "an argument is longer than %d bytes", MaxArg)
	}
	if strings.Contains(name, "..") && slices.Contains(strings.Split(name, "/"), "..") {
		return refuse(statusSyntax, CodePath, `".." is not allowed in a path: %s`, Printable(name))
	}
	return nil
}
