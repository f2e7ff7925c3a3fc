//go:build !linux

package main

import "net"

// ackNow is not known here.
var ackNow func(net.Conn)
