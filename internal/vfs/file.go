package vfs

import "io"

// File is a regular file opened for reading. It is safe for concurrent use by
// ReadAt.
type File struct {
	r    io.ReaderAt
	c    io.Closer
	info Info
}

// Info describes the file as it was when it was opened (fstat).
func (f *File) Info() *Info { return &f.info }

// ReadAt reads as io.ReaderAt does.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.r.ReadAt(p, off) }

// Close releases the file.
func (f *File) Close() error { return f.c.Close() }
