//go:build !linux

package jail

import "github.com/spf13/afero"

// Xattrs is the flag of [Root.OpenFile] for extended attributes. There is none on
// this system: they are read on Linux only.
const Xattrs = 0

// lastDir is Linux only.
type lastDir struct{}

func (*lastDir) close() {}

func (r *Root) openXattrs(string, bool) (afero.File, error) { return nil, errReadOnly }
