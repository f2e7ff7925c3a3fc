package flist

import (
	"errors"
	"io"

	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/vfs"
)

var errRulesTooLong = errors.New("a filter file is longer than 1 MiB")

// source reads per-directory filter files of the served tree.
type source struct{ fs vfs.FS }

// ReadFile implements filter.Source.
func (s source) ReadFile(dir, name string) ([]byte, error) {
	p, err := vfs.ParsePath(dir + "/" + name)
	if err != nil {
		return nil, filter.ErrNoFile
	}
	f, err := s.fs.Open(p.Follow())
	if err != nil {
		return nil, filter.ErrNoFile
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, filter.MaxFile+1))
	switch {
	case err != nil:
		return nil, filter.ErrNoFile
	case len(text) > filter.MaxFile:
		return nil, errRulesTooLong
	}
	return text, nil
}
