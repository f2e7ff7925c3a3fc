//go:build unix

package jail

import "syscall"

// NoFollow is the flag of [Root.OpenFile] not to follow a symbolic link in the
// last place of the name.
const NoFollow = syscall.O_NOFOLLOW

// osRootFlags are the flags with which OSRoot opens regular files, so that
// something else in their place neither blocks nor becomes the terminal of this
// process.
const osRootFlags = syscall.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY
