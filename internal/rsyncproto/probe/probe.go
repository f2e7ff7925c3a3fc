// Package probe answers the commands that backup tools run before a pull, to
// see whether the host is there, is a shell, has rsync and has the directory.
//
// The list is closed, and nothing is run: a command is split into words and
// compared. The answers are about the served tree, not about the machine.
//
//	true  :  exit  exit N                   status 0, or N of 0..255
//	echo [-n] WORD...                       the words
//	test -d P   [ -d P ]                    also -e, -f and -L
//	rsync --version                         also -V, and with a path to rsync
//	which rsync   command -v rsync          /usr/bin/rsync
//	df -P P                                 the file system of the root
//	pwd                                     /, the root
//	uname   uname -s   uname -a             the operating system
package probe

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// Answer is what a command prints and how it ends.
type Answer struct {
	Stdout, Stderr string // complete lines, but for echo -n
	Status         int    // exit status, 0..255
}

// Space is the room in the file system that holds the root of the tree, in
// bytes, as statvfs(3) tells it.
type Space struct {
	Total     uint64
	Free      uint64 // also what only root may use
	Available uint64
}

// System is what is answered from.
type System struct {
	Tree argv.Lister
	// Alias is another name of the root, see [argv.Pull].
	Alias string
	// Space tells the room of the root's file system; nil: df is not answered.
	Space func() (Space, error)
}

// program is where rsync is said to be. Any path will do: the word before
// --server is not interpreted.
const program = "/usr/bin/rsync"

// release is the rsync whose server this one is compared with, for tools that
// want a minimum.
const release = "3.5.0"

// Run answers command; ok is false for all that is not on the list.
func (s System) Run(command string) (a Answer, ok bool) {
	words, err := argv.Split(command)
	if err != nil || len(words) == 0 {
		return Answer{}, false
	}
	args := make([]string, len(words)-1)
	for i, w := range words[1:] {
		args[i] = w.String()
	}
	switch name := words[0].String(); name {
	case "true", ":":
		return Answer{}, len(args) == 0
	case "exit":
		return exit(args)
	case "echo":
		return echo(args), true
	case "test":
		return s.test(words[1:])
	case "[":
		n := len(args) - 1
		if n < 0 || args[n] != "]" {
			return Answer{}, false
		}
		return s.test(words[1 : n+1])
	case "which":
		return print(program, slices.Equal(args, []string{"rsync"}))
	case "command":
		return print(program, slices.Equal(args, []string{"-v", "rsync"}))
	case "df":
		return s.df(words[1:])
	case "pwd":
		return print("/", len(args) == 0)
	case "uname":
		return uname(args)
	default:
		version := len(args) == 1 && (args[0] == "--version" || args[0] == "-V")
		return print(versionText, version && path.Base(name) == "rsync")
	}
}

var versionText = fmt.Sprintf("rsync  version %s  protocol version %d\n"+
	"This is rrserve, not rsync: it serves one directory, read-only, to rsync clients.", release, wire.MaxVersion)

func print(line string, ok bool) (Answer, bool) { return Answer{Stdout: line + "\n"}, ok }

func exit(args []string) (Answer, bool) {
	if len(args) == 0 {
		return Answer{}, true
	}
	n, err := strconv.ParseUint(args[0], 10, 8)
	return Answer{Status: int(n)}, err == nil && len(args) == 1
}

// echo prints its words without expanding them.
func echo(args []string) Answer {
	end := "\n"
	if len(args) > 0 && args[0] == "-n" {
		args, end = args[1:], ""
	}
	return Answer{Stdout: strings.Join(args, " ") + end}
}

// test answers about one name of the tree, which is expanded as an argument of
// rsync is.
func (s System) test(words []argv.Word) (Answer, bool) {
	if len(words) != 2 || !slices.Contains([]string{"-d", "-e", "-f", "-L"}, words[0].String()) {
		return Answer{}, false
	}
	if words[1].String() == "" {
		return Answer{Status: 1}, true // no name at all, not the root
	}
	name, err := s.expand(words[1])
	if err != nil {
		return Answer{Stderr: err.Error() + "\n", Status: 2}, true
	}
	op := words[0].String()
	info, err := s.look(name, op != "-L")
	is := err == nil
	switch op {
	case "-d":
		is = is && info.IsDir()
	case "-f":
		is = is && info.Type() == vfs.ModeRegular
	case "-L":
		is = is && info.Type() == vfs.ModeSymlink
	}
	if !is {
		return Answer{Status: 1}, true
	}
	return Answer{}, true
}

// expand returns the one name that a word stands for.
func (s System) expand(w argv.Word) (string, error) {
	names, err := (&argv.Pull{Args: []argv.Word{w}, Alias: s.Alias}).Expand(s.Tree)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", fmt.Errorf("rrserve: the word stands for %d names", len(names))
	}
	return names[0], nil
}

// look describes what name leads to; a slash at its end demands a directory.
func (s System) look(name string, follow bool) (vfs.Info, error) {
	p, err := vfs.ParsePath(name)
	if err != nil {
		return vfs.Info{}, err
	}
	directory := strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.")
	if follow || directory {
		p = p.Follow()
	}
	info, err := s.Tree.Lstat(p)
	if err == nil && directory && !info.IsDir() {
		err = &vfs.Error{Op: "lstat", Path: p, Errno: vfs.ENOTDIR, Err: fmt.Errorf("not a directory")}
	}
	return info, err
}

// df answers in the format of POSIX. What lies on another file system than the
// root is refused: its numbers are not known.
func (s System) df(words []argv.Word) (Answer, bool) {
	if s.Space == nil || len(words) != 2 || words[0].String() != "-P" {
		return Answer{}, false
	}
	fail := func(why string) (Answer, bool) {
		return Answer{Stderr: "df: " + argv.Printable(words[1].String()) + ": " + why + "\n", Status: 1}, true
	}
	name, err := s.expand(words[1])
	if err != nil {
		return fail(err.Error())
	}
	info, err := s.look(name, true)
	if err != nil {
		return fail("no such file or directory")
	}
	root, err := s.Tree.Lstat(vfs.Root())
	if err != nil || info.Dev != root.Dev {
		return fail("not on the file system of the root, of which alone the size is told")
	}
	space, err := s.Space()
	if err != nil {
		return fail("the size of the file system is not known")
	}
	return Answer{Stdout: dfText(space)}, true
}

func dfText(s Space) string {
	total, available := s.Total/1024, s.Available/1024
	used := (s.Total - min(s.Free, s.Total)) / 1024
	percent := uint64(0)
	if sum := used + available; sum > 0 {
		percent = (used*100 + sum - 1) / sum
	}
	return fmt.Sprintf("Filesystem 1024-blocks Used Available Capacity Mounted on\nrrserve %d %d %d %d%% /\n",
		total, used, available, percent)
}

// Names of systems and machines as uname(1) prints them, where they are not
// Go's own.
var (
	systems  = map[string]string{"linux": "Linux", "darwin": "Darwin", "freebsd": "FreeBSD", "openbsd": "OpenBSD", "netbsd": "NetBSD"}
	machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}
)

func uname(args []string) (Answer, bool) {
	system := named(systems, runtime.GOOS)
	switch {
	case len(args) == 0 || slices.Equal(args, []string{"-s"}):
		return print(system, true)
	case slices.Equal(args, []string{"-a"}):
		// Name and release of the machine are nobody's business.
		return print(system+" rrserve unknown rrserve "+named(machines, runtime.GOARCH), true)
	}
	return Answer{}, false
}

func named(names map[string]string, name string) string {
	if n, ok := names[name]; ok {
		return n
	}
	return name
}
