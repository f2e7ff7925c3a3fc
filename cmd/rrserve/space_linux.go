package main

import (
	"golang.org/x/sys/unix"

	"rrserve/internal/rsyncproto/probe"
)

// spaceOf returns what tells the room of the file system that holds root.
func spaceOf(root string) func() (probe.Space, error) {
	return func() (probe.Space, error) {
		var st unix.Statfs_t
		if err := unix.Statfs(root, &st); err != nil {
			return probe.Space{}, err
		}
		unit := uint64(st.Frsize)
		return probe.Space{Total: st.Blocks * unit, Free: st.Bfree * unit, Available: st.Bavail * unit}, nil
	}
}
