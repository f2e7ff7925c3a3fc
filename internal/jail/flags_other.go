//go:build !unix

package jail

import "syscall"

// NoFollow is the flag of [Root.OpenFile] not to follow a symbolic link in the
// last place of the name. The value is that of Linux; no system call sees it.
const NoFollow = 0x20000

// osRootFlags are the flags with which OSRoot opens regular files.
const osRootFlags = syscall.O_RDONLY
