package argv

import (
	"errors"
	"slices"
	"strings"
)

// Parse turns the command line of an exec request into a Pull. Everything up
// to the word --server is the name of the program and is not interpreted
// further, if the word before --server is rsync or a path to it.
//
// The error is a *Refusal. When Pull.Secluded is set, ReadSecluded completes
// the Pull; when Pull.Daemon is, ReadDaemon.
func Parse(command string) (*Pull, error) { return parseCommand(command, nil) }

func parseCommand(command string, note func(Given)) (*Pull, error) {
	words, err := Split(command)
	if err != nil {
		if !strings.Contains(command, "--server") {
			return nil, refuseCommand(command)
		}
		return nil, err
	}
	server := slices.IndexFunc(words, func(w Word) bool { return w.text == "--server" })
	if server < 1 || !isRsync(words[server-1].text) {
		return nil, refuseCommand(command)
	}
	p := &Pull{Program: program(words[:server]), note: note}
	if isDaemon(words[server:]) {
		p.Daemon = true
		return p, nil
	}
	refusal := p.options(words[server:])
	switch {
	case slices.ContainsFunc(words[server:], func(w Word) bool { return w.text == "--daemon" }):
		return nil, refuse(statusSyntax, CodeDaemon, "a daemon answers to nothing but: rsync --server --daemon .")
	case !p.sender:
		return nil, refuse(statusSyntax, CodeReadOnly, "sending to read-only server not allowed")
	case refusal != nil:
		return nil, refusal
	}
	p.complete()
	return p, nil
}

// isRsync reports whether the program is rsync, wherever it is installed.
func isRsync(program string) bool {
	return program[strings.LastIndexByte(program, '/')+1:] == "rsync"
}

func program(words []Word) string {
	parts := make([]string, 0, len(words))
	for _, w := range words {
		parts = append(parts, w.text)
	}
	return Printable(strings.Join(parts, " "))
}

// refuseCommand answers everything that is not rsync talking to its server.
func refuseCommand(command string) *Refusal {
	first, _, _ := strings.Cut(strings.TrimLeft(command, " \t"), " ")
	if first == "" {
		return refuse(statusNoRsync, CodeCommand, "no shell runs here, only rsync is served: rsync -a USER@HOST:PATH DEST")
	}
	if isRsync(first) {
		return refuse(statusSyntax, CodeCommand, "rsync runs here only at the other end of a pull: rsync -a USER@HOST:PATH DEST")
	}
	return refuse(statusNoRsync, CodeCommand, "%s: command not found, only rsync is served here: rsync -a USER@HOST:PATH DEST", Printable(first))
}

// options stores all options in words and what follows the dot as arguments.
// It returns the first refusal but reads on, since --sender may stand behind it
// and says more about the command.
func (p *Pull) options(words []Word) *Refusal {
	s := scanner{pull: p, words: words}
	for len(s.words) > 0 && !s.ended {
		s.word()
	}
	p.Args = s.words
	if p.FakeSuper && p.Xattrs > 1 {
		s.refuseOption("--fake-super", "refused: it conflicts with -XX")
	}
	return s.refusal
}

// scanner reads the options of a command line.
type scanner struct {
	pull    *Pull
	words   []Word // what is left
	ended   bool   // the dot was read
	refusal *Refusal
}

func (s *scanner) next() string {
	w := s.words[0].text
	s.words = s.words[1:]
	return w
}

func (s *scanner) word() {
	switch w := s.next(); {
	case w == ".":
		s.ended = true
	case w == "--":
	case strings.HasPrefix(w, "--"):
		s.long(w)
	case len(w) > 1 && w[0] == '-':
		s.bundle(w)
	case w == nullWord && s.pull.Daemon:
	default:
		s.refuseOption(w, "expected an option, or . before the arguments")
	}
}

func (s *scanner) long(word string) {
	name, value, attached := strings.Cut(word[2:], "=")
	o := byName[name]
	switch {
	case o == nil:
		s.refuseOption("--"+name, "unknown option")
	case attached && !o.Value:
		s.refuseOption(word, "option does not take an argument")
	case o.Value && !attached:
		s.withNext(o, "--"+name)
	default:
		s.apply(o, "--"+name, value)
	}
}

// bundle reads short options; one with a value takes the rest of the word.
func (s *scanner) bundle(word string) {
	for i := 1; i < len(word); i++ {
		o, name := byLetter[word[i]], "-"+word[i:i+1]
		switch {
		case o == nil:
			s.refuseOption(name, "unknown option")
			return
		case !o.Value:
			s.apply(o, name, "")
		case i+1 == len(word):
			s.withNext(o, name)
		default:
			s.apply(o, name, word[i+1:])
			return
		}
	}
}

// withNext applies an option whose value is the next word.
func (s *scanner) withNext(o *Option, name string) {
	if len(s.words) == 0 {
		s.refuseOption(name, "missing argument")
		return
	}
	s.apply(o, name, s.next())
}

func (s *scanner) apply(o *Option, name, value string) {
	if o.Action == Refused {
		s.note(written(name, value), Refused, o.Why)
		s.refuse(refuseOption(name, "refused: "+o.Why))
		return
	}
	if o.set != nil {
		if err := o.set(s.pull, value); err != nil {
			s.note(written(name, value), Refused, err.Error())
			s.refuse(asRefusal(err, name, value))
			return
		}
	}
	s.note(written(name, value), o.Action, o.Why)
}

// written is an option with its value as one word.
func written(name, value string) string {
	if value != "" && strings.HasPrefix(name, "--") {
		name += "="
	}
	return name + value
}

func (s *scanner) note(option string, a Action, why string) {
	if s.pull.note != nil {
		s.pull.note(Given{option, a, why})
	}
}

func (s *scanner) refuseOption(option, why string) {
	s.note(option, Refused, why)
	s.refuse(refuseOption(option, why))
}

// asRefusal puts the error of a setter into the form of a refusal.
func asRefusal(err error, name, value string) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	if strings.HasPrefix(name, "--") {
		name += "="
	}
	return refuseOption(name+value, err.Error())
}

func (s *scanner) refuse(r *Refusal) {
	if s.refusal == nil {
		s.refusal = r
	}
}

// byLetter and byName index the table.
var byLetter, byName = index()

func index() (letters [256]*Option, long map[string]*Option) {
	long = make(map[string]*Option)
	for i := range table {
		o := &table[i]
		if o.Short != 0 {
			letters[o.Short] = o
		}
		for _, name := range o.Names {
			long[name] = o
		}
	}
	return letters, long
}
