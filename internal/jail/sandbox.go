package jail

// A Sandbox is what the process still needs of the machine once it listens:
// files to read, and nothing else. Descriptors that are open stay open.
//
// The walls are independent of the rest of this package and of each other.
// Where one is missing, [Confine] says so in the wall's Err and sets up the
// others.
type Sandbox struct {
	// Trees are directories that can be read with all that is below. As
	// Landlock's rules do, they stick to the directory and not to its name.
	Trees []string
	// Files are files that can be read; a directory stands for the files below
	// it, which can be opened by name and not be listed. A name that does not
	// exist or is out of reach is left out.
	Files []string
}

// The names of the walls.
const (
	Landlock = "landlock"
	Seccomp  = "seccomp"
)

// A Wall is one way in which the kernel holds the process back.
type Wall struct {
	Name   string
	Detail string // of a wall that stands, for the log
	Err    error  // why it does not stand
}

// An Outcome is what became of one attempt to do what a server that only reads
// never does.
type Outcome struct {
	Attempt string
	Err     error // nil when it succeeded
	// Stopped tells that the kernel refused. An error of another kind comes
	// from having been let through: no attempt is made to succeed.
	Stopped bool
	// Aimless tells that there was nothing to try it on, such as a file outside
	// where the root is "/".
	Aimless bool
}
