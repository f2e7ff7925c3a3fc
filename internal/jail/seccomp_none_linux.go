//go:build linux && !(amd64 || arm || arm64 || loong64 || riscv64)

package jail

import (
	"errors"
	"runtime"
)

// seccompBuilt tells that there is a filter for this architecture. On 386 Go makes
// the calls on sockets through one, socketcall, and their arguments lie behind a
// pointer.
const seccompBuilt = false

func installFilter(uintptr) error {
	return errors.New("there is no filter for " + runtime.GOARCH + "; amd64, arm, arm64, loong64 and riscv64 have one")
}
