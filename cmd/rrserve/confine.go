package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"rrserve/internal/jail"
	"rrserve/internal/sumcache"
)

// Values of --sandbox.
const (
	sandboxRequired   = "required"
	sandboxBestEffort = "best-effort"
)

const (
	systemConfigDir  = "/etc/rrserve"
	systemConfigFile = systemConfigDir + "/rrserve.toml"
)

// losesNames tells that the process may be cut off from the names of its files.
const losesNames = runtime.GOOS == "linux"

// strict reports whether the server is only to start when the sandbox holds.
func (o *options) strict() bool {
	return o.sandbox == sandboxRequired || o.sandbox == "" && jail.CanConfine()
}

// confine gives up what the process does not need any more, now that it listens
// and has read its keys, and then tries to break out.
func confine(o *options, keys *keyring, sums *sumcache.Cache, log *slog.Logger) (holding []string, err error) {
	roots := keys.roots((*servedRoot).tree) // while all files of keys are within reach
	if err := dropPrivileges(o, log); err != nil {
		return nil, err
	}
	if sums != nil {
		sums.ReadAs(readRights())
	}
	var trees []string
	for _, root := range roots {
		if _, err := checkRoot(root); err != nil {
			return nil, fmt.Errorf("root %w, for the user %s; --read-all serves every file, --run-as USER as another user", err, userName(os.Geteuid()))
		}
		trees = append(trees, sandboxTree(root, log))
	}
	time.Now().Zone() // while the time zone's file is within reach
	box := &jail.Sandbox{Trees: trees, Files: []string{"/etc/passwd", "/etc/group"}}
	if keys.dir != "" {
		if _, err := publicKeyFiles(keys.dir); err != nil {
			return nil, configf("--keys-dir %s: %w, for the user %s, who reads it at each login", keys.dir, err, userName(os.Geteuid()))
		}
		box.Trees = append(box.Trees, keys.dir)
	}
	if losesNames {
		keys.confined(trees)
		dirs := configDirs()
		keys.hold(dirs)
		box.Trees = append(box.Trees, existing(dirs)...)
	}
	strict := o.strict() // while seccomp lets the kernel be asked
	proof := jail.NewProof(box)
	defer proof.Close()
	walls := jail.Confine(box)
	attrs, err := weigh(walls, proof.Try())
	switch {
	case err == nil:
		log.Info("the sandbox holds", attrs...)
	case strict:
		return nil, configf("%w; --sandbox=%s serves without", err, sandboxBestEffort)
	default:
		log.Warn("the sandbox is incomplete", append(attrs, "err", err.Error())...)
	}
	for _, w := range walls {
		if w.Err == nil {
			holding = append(holding, w.Name)
		}
	}
	return holding, nil
}

// weigh tells how the walls stand and what the attempts to break out found, for
// the log. It is an error if a wall is missing or an attempt was not stopped.
func weigh(walls []jail.Wall, outcomes []jail.Outcome) (attrs []any, err error) {
	var wrong, through []string
	for _, w := range walls {
		if w.Err != nil {
			wrong = append(wrong, w.Name+": "+w.Err.Error())
			continue
		}
		attrs = append(attrs, w.Name, w.Detail)
	}
	tried := 0
	for _, o := range outcomes {
		switch {
		case o.Aimless:
			continue
		case !o.Stopped:
			through = append(through, o.Attempt)
		}
		tried++
	}
	attrs = append(attrs, "attempts", tried, "stopped", tried-len(through))
	if len(through) > 0 {
		wrong = append(wrong, "not stopped: "+strings.Join(through, ", "))
	}
	if len(wrong) > 0 {
		err = errors.New("the sandbox does not hold: " + strings.Join(wrong, "; "))
	}
	return attrs, err
}

// dropPrivileges becomes the user to serve as and keeps at most the capability to
// read everything: when asked to, or when it was handed to an ordinary user, whom
// somebody gave it on purpose.
func dropPrivileges(o *options, log *slog.Logger) error {
	euid := os.Geteuid()
	to, err := targetUser(o.runAs, euid)
	if err != nil {
		return err
	}
	readAll := o.readAll || euid != rootUID && jail.CanReadAll()
	if readAll && !jail.CanReadAll() {
		return configf("--read-all: the capability CAP_DAC_READ_SEARCH is missing; start as root, or give it (AmbientCapabilities= in a unit, --cap-add=DAC_READ_SEARCH for a container's root)")
	}
	if to != nil && !jail.CanChangeUser() {
		name := userName(to.UID)
		if o.runAs != "" || o.strict() {
			return configf("root cannot become the user %s here (CAP_SETUID and CAP_SETGID are missing); start as that user, or stay with --run-as root", name)
		}
		log.Warn("root cannot become another user here", "user", name)
		to = nil
	}
	if err := jail.DropPrivileges(to, readAll); err != nil {
		err = fmt.Errorf("giving up privileges: %w", err)
		if to != nil { // such as in a user namespace that has no other
			err = fmt.Errorf("%w; start as the user %s, or stay with --run-as root", err, userName(to.UID))
		}
		if o.strict() || o.runAs != "" || o.readAll {
			return configError{err}
		}
		log.Warn("the sandbox is incomplete", "err", err.Error())
	}
	logUser(euid, readAll, log)
	return nil
}

// logUser says as whom the files are read, which decides what is served.
func logUser(was int, readAll bool, log *slog.Logger) {
	uid := os.Geteuid()
	attrs := []any{"user", userName(uid)}
	switch {
	case readAll:
		log.Info("serving every file", append(attrs, "capability", "CAP_DAC_READ_SEARCH")...)
	case uid == rootUID:
		log.Warn("serving as root; without --run-as root it would be another user", attrs...)
	case was == rootUID:
		log.Info("serving the files that this user may read; --read-all serves every file", attrs...)
	default:
		log.Info("serving the files that this user may read", attrs...)
	}
}

// sandboxTree is the directory that the kernel lets be read. Its rules stick to
// directories and not to names: where the root is a link, which may be changed
// while the server runs, it is the directory in which the root lies, and holds
// the snapshots before and after. What is served of it is for the jail to say,
// which opens nothing outside the root of the moment. A link further up in the
// path may be changed too, but the server then needs a restart.
func sandboxTree(root string, log *slog.Logger) string {
	info, err := os.Lstat(root)
	if err != nil || info.Mode().Type() != fs.ModeSymlink {
		return root
	}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return root // making the rule will say what is wrong
	}
	dir := filepath.Dir(real)
	if dir == filepath.Dir(dir) {
		log.Warn("the root is a link to a directory in /; if the link is changed, restart the server", "root", root, "directory", real)
		return root
	}
	log.Info("the root is a link and may be changed to another directory in the same place", "root", root, "place", dir)
	return dir
}

// existing leaves out what is not there.
func existing(dirs []string) []string {
	return slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
		_, err := os.Stat(dir)
		return err != nil
	})
}

// configDirs are the directories that hold the server's configuration and nothing
// of others: systemd's ConfigurationDirectory= and the system's place.
func configDirs() []string {
	dirs := strings.Split(cmp.Or(os.Getenv("CONFIGURATION_DIRECTORY"), systemConfigDir), ":")
	return slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
}
