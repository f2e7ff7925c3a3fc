package argv

// expandBraces multiplies out the unquoted {x,y} of a word: balanced braces
// with at least one comma of their own, nested ones included. Every other
// brace is literal, {a..c} too, which only some shells know. Without braces
// the result is the word itself.
//
// The order is that of bash, the first pair varies slowest.
func expandBraces(w Word, b *budget) ([]Word, error) {
	x := bracer{word: w, budget: b, pairs: make(map[int]*pair)}
	if err := x.scan(); err != nil {
		return nil, err
	}
	if len(x.pairs) == 0 {
		return []Word{w}, nil
	}
	return x.expand(0, len(w.text))
}

// pair is a brace with its end and the commas that belong to it.
type pair struct {
	end    int
	commas []int
}

type bracer struct {
	word   Word
	budget *budget
	pairs  map[int]*pair // by the position of "{"
}

// scan finds the pairs in one pass: "}" closes the nearest open "{". As in
// bash, the outermost "{" waits for an end behind a comma of its own.
func (x *bracer) scan() error {
	type opening struct {
		at     int
		commas []int
	}
	var stack []opening
	for i := range len(x.word.text) {
		top := len(stack) - 1
		switch {
		case x.word.bare(i, '{'):
			stack = append(stack, opening{at: i})
		case x.word.bare(i, ',') && top >= 0:
			stack[top].commas = append(stack[top].commas, i)
		case x.word.bare(i, '}') && top == 0 && len(stack[0].commas) == 0:
		case x.word.bare(i, '}') && top >= 0:
			if len(stack[top].commas) > 0 {
				if len(stack) > maxNesting {
					return refuse(statusSyntax, CodeLimit, "more than %d braces within braces", maxNesting)
				}
				x.pairs[stack[top].at] = &pair{i, stack[top].commas}
			}
			stack = stack[:top]
		}
	}
	return nil
}

// expand returns the products of the bytes from lo up to hi.
func (x *bracer) expand(lo, hi int) ([]Word, error) {
	out := []Word{{}}
	literal := lo
	for i := lo; i < hi; i++ {
		p := x.pairs[i]
		if p == nil {
			continue
		}
		alternatives, err := x.alternatives(i, p)
		if err != nil {
			return nil, err
		}
		if err = x.appendAll(out, x.word.slice(literal, i)); err != nil {
			return nil, err
		}
		if out, err = x.product(out, alternatives); err != nil {
			return nil, err
		}
		i, literal = p.end, p.end+1
	}
	return out, x.appendAll(out, x.word.slice(literal, hi))
}

func (x *bracer) alternatives(open int, p *pair) ([]Word, error) {
	var out []Word
	from := open + 1
	for _, end := range append(p.commas, p.end) {
		words, err := x.expand(from, end)
		if err != nil {
			return nil, err
		}
		if len(out)+len(words) > MaxArgs {
			return nil, errTooMany
		}
		out = append(out, words...)
		from = end + 1
	}
	return out, nil
}

func (x *bracer) product(heads, tails []Word) ([]Word, error) {
	if len(heads)*len(tails) > MaxArgs {
		return nil, errTooMany
	}
	out := make([]Word, 0, len(heads)*len(tails))
	for _, h := range heads {
		for _, t := range tails {
			if err := x.budget.word(len(h.text) + len(t.text)); err != nil {
				return nil, err
			}
			out = append(out, join(h, t))
		}
	}
	return out, nil
}

// appendAll appends tail to every word, in place.
func (x *bracer) appendAll(words []Word, tail Word) error {
	if tail.text == "" {
		return nil
	}
	for i := range words {
		if err := x.budget.word(len(words[i].text) + len(tail.text)); err != nil {
			return err
		}
		words[i] = join(words[i], tail)
	}
	return nil
}

// join concatenates two words without touching their memory.
func join(a, b Word) Word {
	w := Word{text: a.text + b.text}
	if a.quoted != nil || b.quoted != nil {
		w.quoted = make([]bool, len(w.text))
		copy(w.quoted, a.quoted)
		copy(w.quoted[len(a.text):], b.quoted)
	}
	return w
}
