package vfs

import (
	"io"
	"sync"
)

// File is a regular file opened for reading. It is safe for concurrent use by
// ReadAt.
type File struct {
	path Path
	r    io.ReaderAt
	c    io.Closer
	info Info
}

// NewFile makes the File of the regular file p that an FS has opened as r and
// closes through c.
func NewFile(p Path, r io.ReaderAt, c io.Closer, info Info) *File {
	return &File{path: p, r: r, c: c, info: info}
}

// Info describes the file as it was when it was opened (fstat).
func (f *File) Info() *Info { return &f.info }

// ReadAt reads as io.ReaderAt does: it returns less than len(p) bytes only with
// an error, which is io.EOF at the end of the file and an *Error otherwise.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.r.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = newError("read", f.path, err)
	}
	return n, err
}

// Close releases the file.
func (f *File) Close() error { return f.c.Close() }

// oneReader makes an io.ReaderAt of one which is not safe for concurrent use
// and may return less than was asked for.
type oneReader struct {
	mu sync.Mutex
	r  io.ReaderAt
}

func (o *oneReader) ReadAt(p []byte, off int64) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	total := 0
	for total < len(p) {
		n, err := o.r.ReadAt(p[total:], off+int64(total))
		total += n
		switch {
		case err == io.ErrUnexpectedEOF: // afero.MemMapFs beyond the end
			return total, io.EOF
		case err != nil:
			return total, err
		case n == 0:
			return total, io.EOF
		}
	}
	return total, nil
}
