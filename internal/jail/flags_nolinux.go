//go:build !linux

package jail

// NoAtime is the flag of [Root.OpenFile] to leave the access time of a file as
// it is. It has no effect on this system. The value is that of Linux; no system
// call sees it.
const NoAtime = 0x40000

// osRootNoAtime are the flags by which OSRoot honours NoAtime.
const osRootNoAtime = 0
