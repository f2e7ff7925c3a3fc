package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
	"rrserve/internal/sumcache"
	"rrserve/internal/vfs"
)

// sumCacheForbidden is open to anybody but the owner: who can write the file can
// hide changes from the backup.
const sumCacheForbidden = 0o077

// openSumCache opens the file of --checksum-cache, while files can still be opened
// for writing; nil without. It stays open as long as the process runs, which has
// no system call left to unlock it.
func openSumCache(o *options, roots []string, log *slog.Logger) (*sumcache.Cache, error) {
	if o.checksumCache == "" {
		return nil, nil
	}
	path, err := sumCachePath(o.checksumCache, roots)
	var cache *sumcache.Cache
	if err == nil {
		cache, err = sumcache.Open(path, log)
	}
	if err != nil {
		return nil, configf("--checksum-cache %s: %w", o.checksumCache, bare(err))
	}
	return cache, nil
}

// sumCachePath is the absolute path of the file. It must be nobody else's, and lie
// outside the roots.
func sumCachePath(path string, roots []string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("not a regular file")
	case info.Mode().Perm()&sumCacheForbidden != 0 && runtime.GOOS != "windows":
		return "", fmt.Errorf("mode %04o is too open; allowed is 0600", info.Mode().Perm())
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	for _, root := range roots {
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			return "", err
		}
		if inside(dir, []string{real}) {
			return "", fmt.Errorf("it lies in %s, which is served", root)
		}
	}
	return path, nil
}

// readRights says with which rights this process reads files.
func readRights() string {
	groups, _ := os.Getgroups() // cannot fail on Linux; elsewhere no privileges are given up
	return fmt.Sprint(os.Geteuid(), os.Getegid(), groups, jail.CanReadAll())
}

// reportDiffering has possible bit rot logged.
func reportDiffering(log *slog.Logger, x *sshsrv.Exec, root string) func(vfs.Path) {
	return func(p vfs.Path) {
		log.Warn("possible bit rot: a file's content is not what it was, though its times did not change",
			"root", root, "file", p.String(), "key", x.Key.Name)
	}
}

// sumAttrs are the attributes of the log about checksums (-c).
func sumAttrs(s rsyncproto.Sums) []any {
	if s == (rsyncproto.Sums{}) {
		return nil
	}
	return []any{"sums_computed", s.Computed, "sums_remembered", s.Remembered, "sums_verified", s.Verified, "sums_differing", s.Differing}
}
