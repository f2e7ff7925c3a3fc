package jail

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	// maxLinks bounds the symbolic links in one resolution, as the kernel does
	// (path_resolution(7)).
	maxLinks = 40

	// maxSteps bounds the components that one resolution looks at. Each is
	// looked up from the root, so that a hostile tree of deep directories
	// costs no more than this times its depth.
	maxSteps = 1024
)

// prefixes are the absolute paths of the pinned directory, as components: as it
// was named, and free of links as it was when it was pinned. A symbolic link
// whose text begins with one of them leads to the directory, although no
// kernel call that resolves beneath a handle follows an absolute link.
type prefixes [][]string

// newPrefixes returns the paths of the directory that was pinned as dir; isPinned
// reports whether a path leads to that directory now.
func newPrefixes(dir string, isPinned func(path string) bool) prefixes {
	named, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	all := prefixes{directory(named)}
	real, err := filepath.EvalSymlinks(named)
	if err != nil || real == named || !isPinned(real) {
		return all
	}
	return append(all, directory(real))
}

// directory is components for a clean name.
func directory(name string) []string {
	return slices.DeleteFunc(components(name), func(p string) bool { return p == "." })
}

// components splits a name without its slashes and "." components, but for one
// in the last place, which says that the name is a directory's.
func components(name string) []string {
	parts := strings.Split(filepath.ToSlash(name), "/")
	last := parts[len(parts)-1]
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" || p == "." })
	if last == "" || last == "." {
		parts = append(parts, ".")
	}
	return parts
}

// below returns what of an absolute link's text lies below the directory.
func (p prefixes) below(text []string) (rest []string, ok bool) {
	for _, prefix := range p {
		if len(text) >= len(prefix) && slices.Equal(text[:len(prefix)], prefix) {
			return text[len(prefix):], true
		}
	}
	return nil, false
}

// looker describes the object name, relative to the pinned directory, without
// following a symbolic link: whether it is a directory, or the text of a link.
type looker func(name string) (isDir bool, link string, err error)

// plain returns the name, free of links and "..", of what name leads to where
// absolute links below one of the prefixes count; a link in the last place
// stays if it is not to be followed. The name is what the tree said at the
// time: to open it is as confined as to open any name, and must follow no link.
//
// It costs a look for each component, and is only asked for what the kernel
// found to lead out (EXDEV).
func (p prefixes) plain(name string, follow bool, look looker) (string, error) {
	todo := components(name)
	var done []string
	for links, steps := 0, 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch {
		case part == ".":
			continue
		case part == ".." && len(done) == 0:
			return "", errno{syscall.EXDEV}
		case part == "..":
			done = done[:len(done)-1]
			continue
		}
		done = append(done, part)
		if len(todo) == 0 && !follow {
			break
		}
		if steps++; steps > maxSteps {
			return "", errno{syscall.ELOOP}
		}
		isDir, text, err := look(strings.Join(done, "/"))
		switch {
		case err != nil:
			return "", err
		case text != "":
			if links++; links > maxLinks {
				return "", errno{syscall.ELOOP}
			}
			if done, todo, err = p.through(done, text, todo); err != nil {
				return "", err
			}
		case !isDir && len(todo) > 0:
			return "", errno{syscall.ENOTDIR}
		}
	}
	if len(done) == 0 {
		return ".", nil
	}
	return strings.Join(done, "/"), nil
}

// through goes on from the link in the last place of done, with its text in
// front of what is to do.
func (p prefixes) through(done []string, text string, todo []string) (at, next []string, err error) {
	next = components(text)
	if !filepath.IsAbs(text) {
		return done[:len(done)-1], append(next, todo...), nil
	}
	rest, ok := p.below(next)
	if !ok {
		return nil, nil, errno{syscall.EXDEV}
	}
	return nil, append(rest, todo...), nil
}
