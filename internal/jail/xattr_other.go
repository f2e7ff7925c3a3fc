//go:build !linux

package jail

import "github.com/spf13/afero"

// Xattrs is the flag of [Root.OpenFile] to open an object for its extended
// attributes. There is none on this system: attributes are read on Linux only.
const Xattrs = 0

func (r *Root) openXattrs(string, bool) (afero.File, error) { return nil, errReadOnly }
