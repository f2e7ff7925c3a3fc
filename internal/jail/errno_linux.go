package jail

import "syscall"

func linuxNumber(no syscall.Errno) int { return int(no) }
