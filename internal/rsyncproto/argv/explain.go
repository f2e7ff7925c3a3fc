package argv

// Given is an option of a command line and what becomes of it.
type Given struct {
	Option string // with its dashes and its value, as the client sent it
	Action Action
	Why    string // why it is refused or has no effect; "" when Honoured
}

// Explain is Parse for people: it also returns the options in their order, those
// behind a refused one too. What stands before --server is none, nor do options
// that follow on the stream appear.
func Explain(command string) (p *Pull, options []Given, err error) {
	p, err = parseCommand(command, func(g Given) { options = append(options, g) })
	return p, options, err
}
