package jail

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readSearch is the capability to read files and search directories past their
// permissions, and one thing more that the sandbox takes away: to open a file by
// its number (open_by_handle_at(2)).
const readSearch = 1 << unix.CAP_DAC_READ_SEARCH

// CanReadAll reports whether the process has the capability to read what file
// permissions forbid.
func CanReadAll() bool {
	set, err := capabilities()
	return err == nil && set[0].Permitted&readSearch != 0
}

// CanChangeUser reports whether the process may become another user.
func CanChangeUser() bool {
	set, err := capabilities()
	const both = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return err == nil && set[0].Effective&both == both
}

func capabilities() (set [2]unix.CapUserData, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return set, unix.Capget(&header, &set[0])
}

// A User is the numbers of a user and of the user's group.
type User struct{ UID, GID int }

// DropPrivileges makes the process the user to, in that one group and no other,
// unless to is nil, and gives every capability up for good; with readAll, every
// one but that of [CanReadAll], which then must be there.
func DropPrivileges(to *User, readAll bool) error {
	set, err := capabilities()
	if err != nil {
		return os.NewSyscallError("capget", err)
	}
	if readAll && set[0].Permitted&readSearch == 0 {
		return errors.New("CAP_DAC_READ_SEARCH is missing")
	}
	// What a program that is executed could get. None ever is, so that it may
	// stay where taking it is not allowed.
	if set[0].Effective&(1<<unix.CAP_SETPCAP) != 0 {
		for c := uintptr(0); allThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0) == nil; c++ {
			// until the kernel knows no further one
		}
	}
	if to != nil {
		if err := become(*to, readAll); err != nil {
			return err
		}
	}
	if set, err = capabilities(); err != nil {
		return os.NewSyscallError("capget", err)
	}
	var want [2]unix.CapUserData
	if readAll {
		want[0].Permitted, want[0].Effective = readSearch, readSearch
	}
	// A service manager that gave no more than this may forbid to ask for less.
	if set[0].Permitted == want[0].Permitted && set[0].Effective == want[0].Effective && set[1].Permitted == 0 {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return os.NewSyscallError("capset", allThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&want[0])), 0))
}

// become changes the user. With keep, the capabilities stay permitted.
func become(to User, keep bool) error {
	if keep {
		if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); err != nil {
			return os.NewSyscallError("prctl", err)
		}
	}
	if err := unix.Setgroups(nil); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := unix.Setresgid(to.GID, to.GID, to.GID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	return os.NewSyscallError("setresuid", unix.Setresuid(to.UID, to.UID, to.UID))
}
