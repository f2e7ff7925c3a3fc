package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// maxKeyFile bounds the size of a file of keys or of configuration, in bytes.
const maxKeyFile = 1 << 20

// readKeyFile reads a regular file of keys or of configuration, none of whose
// permission bits is in forbidden. The file that is checked is the one that is read.
func readKeyFile(path string, forbidden fs.FileMode) ([]byte, error) {
	// Opening a FIFO would wait for a writer, so it is looked at first.
	if info, err := os.Stat(path); err != nil {
		return nil, bare(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	return readOpenKeyFile(f, forbidden)
}

// readOpenKeyFile is readKeyFile for a file that is open, which it reads from
// the beginning.
func readOpenKeyFile(f *os.File, forbidden fs.FileMode) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("mode %04o is too open; allowed is %04o", mode, mode&^forbidden)
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxKeyFile+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("larger than %d bytes", maxKeyFile)
	}
	return data, nil
}

// bare takes the path off an error whose message will name it anyway.
func bare(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
