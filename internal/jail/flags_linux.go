package jail

import "syscall"

// NoAtime is the flag of [Root.OpenFile] to leave the access time of a file as
// it is. Where that is not allowed (EPERM: the file is another user's and
// CAP_FOWNER is missing) the file is opened without it, open(2).
const NoAtime = syscall.O_NOATIME

// osRootNoAtime are the flags by which OSRoot honours NoAtime.
const osRootNoAtime = syscall.O_NOATIME
