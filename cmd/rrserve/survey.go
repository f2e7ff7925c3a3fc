package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"rrserve/internal/jail"
)

const (
	// surveyChunk is how many entries of a directory are in memory at a time, for
	// each directory above the one that is being read too.
	surveyChunk = 128
	// maxNamed is how many names are printed of things that may be any number.
	maxNamed = 20
	// progressEvery is the time between two updates of the progress line.
	progressEvery = 200 * time.Millisecond
)

// survey opens everything below a root as a pull would, and reads no file. What
// it remembers does not grow with the tree.
type survey struct {
	tree        *jail.Root
	dirs, files int64
	failed      int64
	named       []string // the first of what failed, with the reason
	progress    io.Writer
	began, told time.Time
}

// root surveys one root.
func (r *report) root(ctx context.Context, root string) {
	tree, err := openTree(root)
	if err != nil {
		r.problem("root %s: %v; --read-all serves every file, --run-as USER as another user", root, bare(err))
		return
	}
	defer tree.Close()
	s := &survey{tree: tree, progress: r.progress, began: time.Now()}
	s.dir(ctx, "/")
	if s.progress != nil {
		fmt.Fprint(s.progress, "\r\x1b[K")
	}
	r.row(root, fmt.Sprintf("files %d", s.files), fmt.Sprintf("directories %d", s.dirs), fmt.Sprintf("unreadable %d", s.failed))
	for _, text := range s.named {
		r.problem("%s", text)
	}
	if more := s.failed - int64(len(s.named)); more > 0 {
		r.problem("and %d more below %s that cannot be opened", more, root)
	}
}

// dir surveys a directory and what is below it.
func (s *survey) dir(ctx context.Context, name string) {
	d, err := s.tree.OpenFile(name, jail.NoFollow, 0)
	if err != nil {
		s.fail(name, err)
		return
	}
	defer d.Close()
	s.dirs++
	for ctx.Err() == nil {
		list, err := d.Readdir(surveyChunk)
		for _, entry := range list {
			if ctx.Err() != nil {
				return
			}
			s.entry(ctx, name, entry)
		}
		if err == io.EOF || err == nil && len(list) == 0 {
			return
		}
		if err != nil {
			s.fail(name, err)
			return
		}
	}
}

// entry surveys an entry of the directory dir. Links and special files are sent
// by what the directory says of them, and never opened.
func (s *survey) entry(ctx context.Context, dir string, entry fs.FileInfo) {
	name := dir + "/" + entry.Name()
	if dir == "/" {
		name = dir + entry.Name()
	}
	s.tell()
	switch broken, is := entry.(interface{ StatErr() error }); {
	case is:
		s.fail(name, broken.StatErr())
	case entry.IsDir():
		s.dir(ctx, name)
	case entry.Mode().IsRegular():
		f, err := s.tree.OpenFile(name, jail.NoFollow, 0)
		if err != nil {
			s.fail(name, err)
			return
		}
		f.Close()
		s.files++
	}
}

// fail notes what cannot be opened, unless it is gone by now.
func (s *survey) fail(name string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	s.failed++
	if len(s.named) < maxNamed {
		s.named = append(s.named, fmt.Sprintf("%q: %v", name, bare(err)))
	}
}

// tell shows how far the survey is.
func (s *survey) tell() {
	if s.progress == nil || time.Since(s.told) < progressEvery {
		return
	}
	s.told = time.Now()
	seconds := max(time.Since(s.began).Seconds(), 1)
	fmt.Fprintf(s.progress, "\r%d files, %.0f a second\x1b[K", s.files, float64(s.files)/seconds)
}
