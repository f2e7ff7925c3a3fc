package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rrserve/internal/sumcache"
)

// written looks at the files that the server opens for writing, as the user who
// starts it, and makes and changes none. That the running server has them open is
// no problem.
func (r *report) written(o *options, roots []string) {
	if o.auditLog == "" && o.checksumCache == "" {
		return
	}
	r.section("FILES TO WRITE")
	if name := o.auditLog; name != "" && name != "-" {
		r.row("audit log", name)
		r.unusable("--audit-log", name, o.auditLogProblem(name))
	}
	if name := o.checksumCache; name != "" {
		r.row("checksums", name)
		r.unusable("--checksum-cache", name, o.sumCacheProblem(name, roots))
	}
}

func (r *report) unusable(flag, name string, err error) {
	if err != nil {
		r.problem("%s %s: %v", flag, name, bare(err))
	}
}

func (o *options) auditLogProblem(name string) error {
	if err := checkAuditLog(name); err != nil || o.unitMakes(filepath.Dir(name)) {
		return err
	}
	return writable(name)
}

func (o *options) sumCacheProblem(name string, roots []string) error {
	if o.unitMakes(filepath.Dir(name)) {
		return nil
	}
	path, err := sumCachePath(name, roots)
	if err == nil {
		err = writable(path)
	}
	if info, missing := os.Stat(path); err != nil || missing != nil || info.Size() == 0 {
		return err
	}
	return sumcache.Check(path)
}

// unitMakes reports whether the directory is missing and systemd makes it when it
// starts the unit.
func (o *options) unitMakes(dir string) bool {
	for _, name := range unitDirectories {
		if slices.Contains(strings.Split(o.variables[name], ":"), dir) {
			_, err := os.Stat(dir)
			return errors.Is(err, fs.ErrNotExist)
		}
	}
	return false
}

// writable returns why a file could not be opened for writing, or made.
func writable(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return takesFiles(filepath.Dir(name))
	}
	return err
}
