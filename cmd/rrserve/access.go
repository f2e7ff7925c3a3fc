package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rrserve/internal/config"
	"rrserve/internal/rrsync"
	"rrserve/internal/sshsrv"
)

// servedRoot is a directory that keys may be given.
type servedRoot struct {
	name       string // in logs and metrics, and of host::module
	path       string // absolute
	mungeLinks bool
	absolute   bool // clients may put path before names
	snapshots  int  // number of its snapshot command; -1: it has none
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
	// roots may lie; nil before there is a sandbox.
	trees []string
}

// unlimited is a client of whom the configuration says nothing.
var unlimited = new(config.Client)

// newAccess checks the roots, which must be there. The numbers of snapshot
// commands are the roots' places in the order of their names.
func newAccess(o *options, file *config.Config) (*access, error) {
	a := &access{roots: make(map[string]*servedRoot), clients: file.Clients}
	if o.root != "" {
		path, err := checkRoot(o.root)
		if err != nil {
			return nil, err
		}
		a.root = &servedRoot{name: moduleName(path), path: path, mungeLinks: o.mungeLinks, absolute: o.absolute, snapshots: -1}
	}
	for i, name := range snapshotRoots(file) {
		a.roots[name] = &servedRoot{snapshots: i}
	}
	for name, r := range file.Roots {
		if a.roots[name] == nil {
			a.roots[name] = &servedRoot{snapshots: -1}
			if _, err := checkRoot(r.Path); err != nil {
				return nil, fmt.Errorf("roots.%s: %w", name, err)
			}
		}
		root := a.roots[name]
		root.name, root.path = moduleName("/"+name), filepath.Clean(r.Path)
		root.mungeLinks, root.absolute = r.MungeLinks, r.Absolute
	}
	return a, nil
}

// snapshotRoots are the names of the roots with a snapshot command, in order.
func snapshotRoots(file *config.Config) []string {
	var names []string
	for name, r := range file.Roots {
		if len(r.SnapshotCmd) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// grant returns what a key may do that the client of this name has; "" is for a
// key without a name. A forced command says more than the configuration, and the
// configuration more than --root.
func (a *access) grant(client string, key sshsrv.AuthorizedKey) (*grant, error) {
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
	if key.Command != "" {
		r, err := rrsync.ParseCommand(key.Command)
		if err != nil {
			return nil, err
		}
		g.root = a.forced(r)
	}
	switch {
	case g.root == nil:
		return nil, errors.New(`no directory for it: neither --root, nor a root for its client, nor command="rrsync -ro DIR"`)
	case a.trees != nil && !inside(g.root.path, a.trees):
		return nil, fmt.Errorf("%s lies outside what the server may read since its start; restart the server", g.root.path)
	}
	return g, nil
}

// forced is the root of a forced command. The directory of a configured root is
// that root, with its name and its snapshots.
func (a *access) forced(r rrsync.Restriction) *servedRoot {
	root := &servedRoot{name: moduleName(r.Dir), path: r.Dir, snapshots: -1}
	for _, known := range a.roots {
		if known.path == r.Dir {
			*root = *known
		}
	}
	root.mungeLinks, root.absolute = r.MungeLinks, r.Absolute
	return root
}

// inside reports whether a path is one of the trees, or lies below one.
func inside(path string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return path == tree || strings.HasPrefix(path, strings.TrimSuffix(tree, "/")+"/")
	})
}
