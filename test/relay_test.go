package test

import (
	"io"
	"net"
	"testing"
)

// relay passes connections on to a server, as a load balancer does.
type relay struct {
	// header is sent to the server in front of what a client sends.
	header string
	// hold is after how many bytes of a connection what comes from the server stops,
	// until goOn is closed. With a nil goOn nothing stops.
	goOn chan struct{}
	hold int64
}

// listen relays from a port of loopback to addr until the test ends, and returns
// the port's address.
func (r relay) listen(t *testing.T, addr string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				client.Close()
				continue
			}
			go r.pass(client.(*net.TCPConn), server.(*net.TCPConn))
		}
	}()
	return ln.Addr().String()
}

func (r relay) pass(client, server *net.TCPConn) {
	defer client.Close()
	defer server.Close()
	go func() {
		io.WriteString(server, r.header)
		io.Copy(server, client)
		server.CloseWrite()
	}()
	if r.goOn != nil {
		io.CopyN(client, server, r.hold)
		<-r.goOn
	}
	io.Copy(client, server)
}
