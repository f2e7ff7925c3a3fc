//go:build !linux

package jail

import "syscall"

// openBeneath is Linux only.
func openBeneath(string) (backend, error) { return nil, errno{syscall.ENOSYS} }
