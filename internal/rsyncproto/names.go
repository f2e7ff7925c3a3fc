package rsyncproto

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"

	"rrserve/internal/rsyncproto/charset"
	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/vfs"
)

// maxListedName bounds a name of --files-from in bytes.
const maxListedName = 4095

// sources yields the path arguments, or the names of --files-from as they
// arrive.
func (s *session) sources(args []string) iter.Seq[flist.Source] {
	return func(yield func(flist.Source) bool) {
		if !s.pull.FilesFrom {
			for _, a := range args {
				if !yield(flist.Source{Name: a}) {
					return
				}
			}
			return
		}
		names := s.sentNames
		if s.names != nil {
			names = s.fileNames
		}
		for name := range names {
			if !yield(flist.Source{Base: args[0], Name: flist.CleanListed(name, s.pull.Relative)}) {
				return
			}
		}
	}
}

// sentNames yields the names of --files-from that the client sends.
func (s *session) sentNames(yield func(string) bool) {
	plain := s.v.Varints() && !s.v.FramedNames()
	if plain {
		s.r.Frame(false)
	}
	for {
		name := s.r.CString("name in the list of files", maxListedName)
		if s.r.Err() != nil || len(name) == 0 {
			break
		}
		text := string(name)
		if s.pull.Secluded {
			text = s.decode(text)
		}
		if !yield(text) {
			return
		}
	}
	if plain {
		s.r.Frame(true)
	}
}

// nameListError is a file of --files-from that cannot be opened.
type nameListError struct {
	path string
	err  error
}

func (e *nameListError) Error() string {
	return "rsync: failed to open files-from file " + e.path + ": " + reasonText(e.err)
}

// openNames opens the file of --files-from, which is a file of the tree.
func (s *session) openNames() error {
	name := s.pull.FilesFromPath
	p, err := vfs.ParsePath(strings.TrimPrefix(s.pull.Unalias(name), "~/"))
	if err == nil {
		s.names, err = s.FS.Open(p.Follow())
	}
	if err != nil {
		return &nameListError{name, err}
	}
	return nil
}

// fileNames yields the names in the file of --files-from: its lines, or with
// --from0 what stands between NUL bytes, without comments. The file is read up
// to the size that it had when it was opened, as long as the client is there: in one
// that is mostly a hole nobody waits for the end.
func (s *session) fileNames(yield func(string) bool) {
	file := io.NewSectionReader(s.names, 0, s.names.Info().Size)
	r := bufio.NewReader(readerFunc(func(p []byte) (int, error) {
		if s.ctx.Err() != nil {
			return 0, io.EOF
		}
		return file.Read(p)
	}))
	for {
		name, long, err := s.fileName(r)
		switch {
		case name == "" || name[0] == '#' || name[0] == ';':
		case long:
			s.failed("link_stat", name, &vfs.Error{Errno: vfs.ENAMETOOLONG})
		case !yield(name):
			return
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			s.list.AddIOError(flist.IOGeneral)
			s.failed("read", s.pull.FilesFromPath, err)
			return
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// fileName reads a name up to its end, and no more of it than may be in a name;
// long says that there is more.
func (s *session) fileName(r *bufio.Reader) (name string, long bool, err error) {
	var buf []byte
	for {
		c, err := r.ReadByte()
		if err != nil || c == 0 && s.pull.From0 || (c == '\n' || c == '\r') && !s.pull.From0 {
			// In C the name would end with a NUL too.
			buf, _, _ = bytes.Cut(buf, []byte{0})
			return string(buf), long, err
		}
		if long = len(buf) == maxListedName; !long {
			buf = append(buf, c)
		}
	}
}

// chooseCharset finds the character set of --iconv.
func (s *session) chooseCharset() (err error) {
	if s.charset = nil; s.pull.Iconv == "" {
		return nil
	}
	if s.charset, err = charset.Lookup(s.pull.Iconv); err != nil {
		return &unsupported{fmt.Sprintf("iconv_open(\"UTF-8\", %q) failed", s.pull.Iconv)}
	}
	return nil
}

// decodeArgument is decode for the arguments of -s. The options before them
// have named the character set; if it is unknown, the session ends later.
func (s *session) decodeArgument(arg string) string {
	if s.charset == nil && s.pull.Iconv != "" {
		s.charset, _ = charset.Lookup(s.pull.Iconv)
	}
	return s.decode(arg)
}

// decode turns a name of the client into one of the tree. What the tree's
// character set does not have stays as it is, to be reported as missing.
func (s *session) decode(name string) string {
	if s.charset == nil {
		return name
	}
	local, err := s.charset.FromUTF8(name)
	if err != nil {
		return name
	}
	return local
}

// text is a message as it is sent: with --iconv in UTF-8, like the names. The
// client shows bytes that are none as numbers.
func (s *session) text(message string) string {
	if s.charset == nil {
		return message
	}
	return s.charset.Message(message)
}
