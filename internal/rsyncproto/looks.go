package rsyncproto

import (
	"errors"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/probe"
	"rrserve/internal/vfs"
)

// LooksAtTree reports whether the command is served from FS. A refused one and most
// probes are not, which matters to a caller whose trees are made on demand: these it
// may serve with a nil FS.
func (c *Config) LooksAtTree() bool {
	if c.Probes {
		var tree watchedTree
		if _, ok := (probe.System{Tree: &tree, Space: c.Space}).Run(c.Command); ok {
			return tree.looked
		}
	}
	_, err := argv.Parse(c.Command)
	return err == nil
}

// watchedTree is an empty tree that knows whether somebody looked at it.
type watchedTree struct{ looked bool }

var errEmptyTree = errors.New("no such file or directory")

func (t *watchedTree) Lstat(p vfs.Path) (vfs.Info, error) {
	t.looked = true
	return vfs.Info{}, &vfs.Error{Op: "lstat", Path: p, Errno: vfs.ENOENT, Err: errEmptyTree}
}

func (t *watchedTree) ReadDir(_ vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	t.looked = true
	return buf, nil
}
