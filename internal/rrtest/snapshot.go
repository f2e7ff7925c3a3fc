package rrtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Aspects says what two trees are compared in, beyond names, types, content,
// link targets, device numbers, permissions and owners.
type Aspects struct {
	// FreshAfter makes modification times from here until an hour later equal:
	// files whose time was not preserved carry the time of their transfer. The
	// zero time compares every time to the nanosecond.
	FreshAfter time.Time
	// Links compares which names are hard links of one another.
	Links bool
	// Xattrs compares extended attributes, ACLs among them.
	Xattrs bool
	// Atimes compares access times of all but directories, which comparing
	// changes.
	Atimes bool
}

// Snapshot describes every object of a tree in one line, by its name relative
// to dir ("." is dir itself). Sparse files are read only where they have data.
// What this process may not read is "unreadable".
type Snapshot map[string]string

// Take walks the tree dir.
func Take(dir string, a Aspects) (Snapshot, error) {
	snap := make(Snapshot)
	groups := make(map[[2]uint64]string)
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, walkErr error) error {
		rel, err := filepath.Rel(dir, name)
		switch {
		case err != nil:
			return err
		case errors.Is(walkErr, fs.ErrPermission):
			snap[rel] += " unreadable"
			return fs.SkipDir
		case walkErr != nil:
			return walkErr
		}
		line, err := describe(name, rel, a, groups)
		snap[rel] = line
		return err
	})
	return snap, err
}

func describe(name, rel string, a Aspects, groups map[[2]uint64]string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return "", &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	line := fmt.Sprintf("%s %04o %d:%d %s", typeName(st.Mode), st.Mode&0o7777, st.Uid, st.Gid,
		timeText(st.Mtim, a.FreshAfter))
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if a.Atimes && !isDir {
		line += " atime=" + timeText(st.Atim, a.FreshAfter)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		line += fmt.Sprintf(" size=%d", st.Size)
		sum, err := ContentHash(name)
		switch {
		case err == nil:
			line += fmt.Sprintf(" sha256=%x", sum[:8])
		case errors.Is(err, fs.ErrPermission):
			line += " unreadable"
		default:
			return "", err
		}
	case unix.S_IFLNK:
		target, err := os.Readlink(name)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" -> %q", target)
	case unix.S_IFCHR, unix.S_IFBLK:
		line += fmt.Sprintf(" dev=%d,%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	if a.Links && !isDir && st.Nlink > 1 {
		id := [2]uint64{st.Dev, st.Ino}
		if groups[id] == "" {
			groups[id] = rel // WalkDir is in lexical order, so the first name is the same in both trees
		}
		line += fmt.Sprintf(" linked=%q", groups[id])
	}
	if a.Xattrs {
		x, err := xattrText(name)
		if err != nil {
			return "", err
		}
		line += x
	}
	return line, nil
}

func typeName(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "dir"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR:
		return "char"
	default:
		return "block"
	}
}

func timeText(ts unix.Timespec, fresh time.Time) string {
	t := time.Unix(ts.Unix())
	if !fresh.IsZero() && !t.Before(fresh) && t.Before(fresh.Add(time.Hour)) {
		return "fresh"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000000")
}

func xattrText(name string) (string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(name, list)
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return "", nil
		}
		return "", &fs.PathError{Op: "llistxattr", Path: name, Err: err}
	}
	attrs := strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 })
	sort.Strings(attrs)
	var b strings.Builder
	for _, attr := range attrs {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, attr, value)
		if err != nil {
			return "", &fs.PathError{Op: "lgetxattr " + attr, Path: name, Err: err}
		}
		fmt.Fprintf(&b, " %s=%q", attr, value[:n])
	}
	return b.String(), nil
}

// hashBlock is the unit of ContentHash: an aligned block of zeros counts as a
// hole whether or not it takes space.
const hashBlock = 64 << 10

// ContentHash is a hash of the content of a regular file which costs no more
// than the data the file has: equal files have equal hashes however their
// zeros are stored.
func ContentHash(name string) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	var head [8]byte
	buf, zero := make([]byte, hashBlock), make([]byte, hashBlock)
	for off := int64(0); off < st.Size(); off += hashBlock {
		data, err := f.Seek(off, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) {
			break // only a hole is left
		}
		if err != nil {
			return sum, err
		}
		off = data &^ (hashBlock - 1)
		n, err := f.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return sum, err
		}
		if bytes.Equal(buf[:n], zero[:n]) {
			continue
		}
		binary.LittleEndian.PutUint64(head[:], uint64(off))
		h.Write(head[:])
		h.Write(buf[:n])
	}
	binary.LittleEndian.PutUint64(head[:], uint64(st.Size()))
	h.Write(head[:])
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Diff lists the objects that differ, a's line before b's; it is empty when
// the trees are equal.
func Diff(a, b Snapshot) []string {
	names := make(map[string]bool, len(a))
	for n := range a {
		names[n] = true
	}
	for n := range b {
		names[n] = true
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		if a[n] != b[n] {
			sorted = append(sorted, n)
		}
	}
	sort.Strings(sorted)
	var out []string
	for _, n := range sorted {
		out = append(out, fmt.Sprintf("%q:\n  - %s\n  + %s", n, orAbsent(a[n]), orAbsent(b[n])))
	}
	return out
}

func orAbsent(line string) string {
	if line == "" {
		return "absent"
	}
	return line
}

// Compare fails the test unless the trees a and b are equal in content, types,
// permissions, owners, link targets, device numbers, modification times to the
// nanosecond and the further aspects.
func Compare(t testing.TB, a, b string, aspects Aspects) {
	t.Helper()
	sa, err := Take(a, aspects)
	if err != nil {
		t.Fatal(err)
	}
	sb, err := Take(b, aspects)
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(sa, sb); len(d) > 0 {
		t.Errorf("%d objects differ (- %s, + %s):\n%s", len(d), a, b, head(d, 20))
	}
}

func head(lines []string, n int) string {
	if len(lines) > n {
		lines = append(lines[:n:n], fmt.Sprintf("... and %d more", len(lines)-n))
	}
	return strings.Join(lines, "\n")
}
