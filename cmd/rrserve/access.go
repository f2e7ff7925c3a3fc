package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rrserve/internal/config"
	"rrserve/internal/rrsync"
	"rrserve/internal/snapshot"
)

// servedRoot is a directory that keys may be given.
type servedRoot struct {
	name       string // in logs and metrics, and of host::module
	path       string // absolute
	mungeLinks bool
	absolute   bool // clients may put path before names
	// snapshots makes the trees of sessions, which lie below its Dir; nil: path
	// itself is served.
	snapshots *snapshot.Command
}

// directory is what the root is called after.
func (r *servedRoot) directory() string { return r.path }

// tree is the directory below which everything lies that is served of the root.
func (r *servedRoot) tree() string {
	if r.snapshots != nil {
		return r.snapshots.Dir
	}
	return r.path
}

// alias is the name that clients may give to the root beside "/".
func (r *servedRoot) alias() string {
	if !r.absolute || r.path == "/" {
		return ""
	}
	return r.path
}

// grant is what a key may do.
type grant struct {
	client string // name in logs and metrics
	root   *servedRoot
	limits *config.Client
}

// access decides what keys may do. It is made of the flags and the configuration
// file, does not change, and is replaced as a whole by a reload.
type access struct {
	root    *servedRoot // of --root; nil: keys must have one of their own
	roots   map[string]*servedRoot
	clients map[string]*config.Client
	// trees are the directories that the sandbox lets be read, below which new
	// roots may lie, by every name they are known by; nil before there is a sandbox.
	trees []string
}

// unlimited is a client of whom the configuration says nothing.
var unlimited = new(config.Client)

// newAccess checks the roots, which must be there.
func newAccess(o *options, file *config.Config) (*access, error) {
	a, err := newAccessWithin(nil, o, file)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w, for the user %s; start as root with --read-all, or let this user read it", err, userName(os.Geteuid()))
	}
	return a, err
}

// newAccessWithin is newAccess where the sandbox lets only trees be read. Roots
// elsewhere are not looked into.
func newAccessWithin(trees []string, o *options, file *config.Config) (*access, error) {
	a, missing := tryAccess(trees, o, file)
	if len(missing) > 0 {
		return nil, missing[0]
	}
	return a, nil
}

// tryAccess is newAccessWithin with all that is wrong with the roots, which it
// keeps nevertheless.
func tryAccess(trees []string, o *options, file *config.Config) (a *access, missing []error) {
	a = &access{roots: make(map[string]*servedRoot), clients: file.Clients, trees: trees}
	if o.root != "" {
		path, err := a.checkRoot(o.root)
		if err != nil {
			missing = append(missing, fmt.Errorf("--root %w", err))
		}
		a.root = &servedRoot{name: moduleName(path), path: path, mungeLinks: o.mungeLinks, absolute: o.absolute}
	}
	for _, name := range slices.Sorted(maps.Keys(file.Roots)) {
		r := file.Roots[name]
		path, err := a.checkRoot(r.Path)
		if err != nil {
			missing = append(missing, fmt.Errorf("roots.%s: %w", name, err))
		}
		root := &servedRoot{
			name: moduleName("/" + name), path: path, mungeLinks: r.MungeLinks, absolute: r.Absolute, snapshots: snapshotCommand(name, path, r),
		}
		if a.roots[name] = root; a.root != nil && a.root.path == path {
			a.root.snapshots = root.snapshots // whatever names a directory
		}
	}
	return a, missing
}

func (a *access) checkRoot(dir string) (string, error) {
	if path, err := filepath.Abs(dir); err == nil && !a.reaches(path) {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return path, configf("%s: %w", dir, bare(err))
		}
		return path, nil
	}
	return checkRoot(dir)
}

// outside are the settings whose directories the sandbox keeps out of reach.
func (a *access) outside() []string {
	var names []string
	if a.root != nil && !a.reaches(a.root.tree()) {
		names = append(names, "root")
	}
	for _, name := range slices.Sorted(maps.Keys(a.roots)) {
		if !a.reaches(a.roots[name].tree()) {
			names = append(names, "roots."+name)
		}
	}
	return names
}

// directories are those of --root and the configuration, as of tells them.
func (a *access) directories(of func(*servedRoot) string) []string {
	var all []string
	if a.root != nil {
		all = append(all, of(a.root))
	}
	for _, r := range a.roots {
		all = append(all, of(r))
	}
	return all
}

// grant returns what a key may do that the client of this name has; "" is for a
// key without a name. The command that its line or its certificate forces, "" for none,
// says more than the configuration, and the configuration more than --root.
func (a *access) grant(client, command string) (*grant, error) {
	g := &grant{client: client, root: a.root, limits: unlimited}
	if client == "" {
		g.client = "(unnamed)"
	}
	if limits := a.clients[client]; limits != nil {
		g.limits = limits
		if limits.Root != "" {
			g.root = a.roots[limits.Root]
		}
	}
	if command != "" {
		r, err := rrsync.ParseCommand(command)
		if err != nil {
			return nil, err
		}
		if _, err := checkRoot(r.Dir); err != nil && a.trees == nil {
			return nil, err
		}
		g.root = a.forced(r)
	}
	switch {
	case g.root == nil:
		return nil, errors.New(`no directory for it: neither --root, nor a root for its client, nor command="rrsync -ro DIR"`)
	case !a.reaches(g.root.tree()):
		return nil, fmt.Errorf("%s %w", g.root.tree(), errOutside)
	}
	return g, nil
}

// forced is the root of a forced command. The directory of a configured root has
// that root's name and is served by its snapshots.
func (a *access) forced(r rrsync.Restriction) *servedRoot {
	root := &servedRoot{name: moduleName(r.Dir), path: r.Dir, mungeLinks: r.MungeLinks, absolute: r.Absolute}
	for _, known := range a.roots {
		if known.path == r.Dir {
			root.name, root.snapshots = known.name, known.snapshots
		}
	}
	return root
}

// errOutside is said of a directory that the sandbox keeps out of reach.
var errOutside = errors.New("lies outside what the server may read since its start; restart the server")

// reaches reports whether the sandbox lets a directory be read. It looks at where
// links lead: a root may be one, and its tree is then where it leads.
func (a *access) reaches(path string) bool {
	if a.trees == nil || inside(path, a.trees) {
		return true
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && inside(real, a.trees)
}

// inside reports whether a path is one of the trees, or lies below one.
func inside(path string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return path == tree || strings.HasPrefix(path, strings.TrimSuffix(tree, "/")+"/")
	})
}
