package jail

import (
	"os"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// errReadOnly is the answer to every request to change something.
var errReadOnly error = errno{syscall.EROFS}

// readOnly has the methods of an afero.Fs that write. There is nothing behind
// them.
type readOnly struct{}

func (readOnly) Create(string) (afero.File, error)          { return nil, errReadOnly }
func (readOnly) Mkdir(string, os.FileMode) error            { return errReadOnly }
func (readOnly) MkdirAll(string, os.FileMode) error         { return errReadOnly }
func (readOnly) Remove(string) error                        { return errReadOnly }
func (readOnly) RemoveAll(string) error                     { return errReadOnly }
func (readOnly) Rename(string, string) error                { return errReadOnly }
func (readOnly) Chmod(string, os.FileMode) error            { return errReadOnly }
func (readOnly) Chown(string, int, int) error               { return errReadOnly }
func (readOnly) Chtimes(string, time.Time, time.Time) error { return errReadOnly }

// readOnlyFile has the methods of an afero.File that write.
type readOnlyFile struct{}

func (readOnlyFile) Write([]byte) (int, error)          { return 0, errReadOnly }
func (readOnlyFile) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }
func (readOnlyFile) WriteString(string) (int, error)    { return 0, errReadOnly }
func (readOnlyFile) Truncate(int64) error               { return errReadOnly }
func (readOnlyFile) Sync() error                        { return errReadOnly }
