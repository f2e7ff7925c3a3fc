package jail

import (
	"errors"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights of Landlock that belong together by the version (ABI) of it that
// brought them. All of them are taken away; only those of readTree are given
// back, below single directories.
const (
	// ABI 1, Linux 5.13: what opens a file, executes it, lists a directory, or
	// makes and removes a name. 2: moving between directories. 3: truncating.
	// 5: ioctl on devices. 9: connecting to the named sockets of others.
	fsRights1 = unix.LANDLOCK_ACCESS_FS_REFER - 1
	fsRights2 = unix.LANDLOCK_ACCESS_FS_TRUNCATE - 1
	fsRights3 = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV - 1
	fsRights5 = unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX - 1
	fsRights9 = unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX<<1 - 1
	// 4: TCP. The port that is listened on is bound already. 10: UDP.
	netRights4  = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	netRights10 = netRights4 | unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
	// 6: abstract sockets of others, signals to others.
	scope6 = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL

	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readTree = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR

	// erratumSignal is the bug by which two threads of one process could not
	// signal each other, which the Go runtime does to preempt (fixed for ABI 6).
	erratumSignal = 1 << 1
)

// landlockABI is the version of Landlock that the kernel has, 0 for none.
func landlockABI() int {
	abi, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if no != 0 {
		return 0
	}
	return int(abi)
}

// handled is all that Landlock of this version can take away.
func handled(abi int) (attr unix.LandlockRulesetAttr) {
	for _, v := range []struct {
		abi            int
		fs, net, scope uint64
	}{
		{1, fsRights1, 0, 0},
		{2, fsRights2, 0, 0},
		{3, fsRights3, 0, 0},
		{4, fsRights3, netRights4, 0},
		{5, fsRights5, netRights4, 0},
		{6, fsRights5, netRights4, scope6},
		{9, fsRights9, netRights4, scope6},
		{10, fsRights9, netRights10, scope6},
	} {
		if abi >= v.abi {
			attr.Handled_access_fs, attr.Handled_access_net, attr.Scoped = v.fs, v.net, v.scope
		}
	}
	errata, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_ERRATA)
	if no != 0 || errata&erratumSignal == 0 {
		attr.Scoped &^= unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// ruleset makes the set of rules that is to be enforced. The caller closes it.
func (s *Sandbox) ruleset() (fd int, err error) {
	abi := landlockABI()
	if abi == 0 {
		return -1, errors.New("the kernel has none, or it is switched off (Linux 5.13, lsm=landlock)")
	}
	attr := handled(abi)
	set, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if no != 0 {
		return -1, no
	}
	for _, tree := range s.Trees {
		err = errors.Join(err, allowBeneath(int(set), tree, readTree))
	}
	for _, file := range s.Files {
		if e := allowBeneath(int(set), file, readFile); !errors.Is(e, fs.ErrNotExist) && !errors.Is(e, fs.ErrPermission) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		unix.Close(int(set))
		return -1, err
	}
	return int(set), nil
}

// allowBeneath gives rights back to a file, or to a directory with all below.
func allowBeneath(set int, path string, rights uint64) error {
	fd, err := unix.Open(path, pathFlags, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, no := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if no != 0 {
		return &fs.PathError{Op: "landlock_add_rule", Path: path, Err: no}
	}
	return nil
}
