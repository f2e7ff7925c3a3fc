package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// documents are the files and directories of the repository that go along.
var documents = []string{
	"LICENSE", "NEWS.md", "README.md", "SECURITY.md", "docs", "examples",
	"packaging/fail2ban", "packaging/man", "packaging/openrc", "packaging/systemd",
}

// archive is a tar file in the making.
type archive struct {
	tar    *tar.Writer
	binary *binary
}

// writeArchive writes the binary with its documents, the completions in the
// directory of that name and the licences.
func (b *binary) writeArchive(name, completions string, licences []byte) error {
	var buf bytes.Buffer
	zip, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	a := &archive{tar.NewWriter(zip), b}
	if err := a.addAll(completions, licences); err != nil {
		return err
	}
	if err := a.tar.Close(); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, buf.Bytes(), 0o644)
}

func (a *archive) addAll(completions string, licences []byte) error {
	if err := a.addFile(filepath.Base(a.binary.path), a.binary.path); err != nil {
		return err
	}
	if err := a.add("LICENSES.txt", 0o644, licences); err != nil {
		return err
	}
	if err := a.addTree("completions", completions); err != nil {
		return err
	}
	for _, name := range documents {
		if err := a.addTree(name, name); err != nil {
			return err
		}
	}
	return nil
}

// addTree adds a file, or the files below a directory but for tests.
func (a *archive) addTree(as, name string) error {
	return filepath.WalkDir(name, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
			return err
		}
		below, err := filepath.Rel(name, file)
		if err != nil {
			return err
		}
		return a.addFile(path.Join(as, filepath.ToSlash(below)), file)
	})
}

// addFile adds a file, of whose mode only one thing counts: the rest is that of the
// clone.
func (a *archive) addFile(as, name string) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return a.add(as, mode, data)
}

func (a *archive) add(name string, mode int64, data []byte) error {
	err := a.tar.WriteHeader(&tar.Header{
		Name: path.Join(a.binary.name(), name), Mode: mode, Size: int64(len(data)), ModTime: a.binary.commit,
	})
	if err != nil {
		return err
	}
	_, err = a.tar.Write(data)
	return err
}
