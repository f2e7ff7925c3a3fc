package jail

import (
	"io"
	"os"

	"github.com/spf13/afero"
)

// handle is an open regular file or directory of a backend. After Close every
// method fails with os.ErrClosed.
type handle interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
	// readdir has the contract of os.File.Readdir, except that an entry which
	// cannot be examined is a *broken and the listing goes on, and that a read
	// error comes together with the entries read so far.
	readdir(n int) ([]os.FileInfo, error)
}

// file makes an afero.File of a handle.
type file struct {
	readOnlyFile
	handle
	name string
	info os.FileInfo
}

var (
	_ afero.Fs         = (*Root)(nil)
	_ afero.Lstater    = (*Root)(nil)
	_ afero.LinkReader = (*Root)(nil)
	_ afero.File       = (*file)(nil)
)

// Name returns the name given to OpenFile.
func (f *file) Name() string { return f.name }

// Stat describes the file as it was when it was opened.
func (f *file) Stat() (os.FileInfo, error) { return f.info, nil }

// Readdir lists a directory in its own order, with the attributes of each
// entry itself, not of what a link names. An entry which cannot be examined has
// a method StatErr that tells why, and only its name is valid.
func (f *file) Readdir(n int) ([]os.FileInfo, error) { return f.readdir(n) }

// Readdirnames lists the names of a directory in its own order.
func (f *file) Readdirnames(n int) ([]string, error) {
	list, err := f.readdir(n)
	names := make([]string, len(list))
	for i, info := range list {
		names[i] = info.Name()
	}
	return names, err
}
