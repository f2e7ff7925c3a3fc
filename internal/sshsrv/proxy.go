package sshsrv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyBuffer is how much is read ahead for a header, in bytes. It takes one without
// extensions in one read, as version 1 wants it; what of it was not the header is
// kept until it is read.
const proxyBuffer = 512

// ReadProxyHeader reads a header of the PROXY protocol, version 1 or 2, as load
// balancers put it in front of a connection (haproxy's send-proxy). It returns the
// address of the client, or the zero AddrPort where the header names none: the
// balancer looks whether we live (LOCAL), or does not know (UNKNOWN). rest is what
// was read behind the header.
func ReadProxyHeader(r io.Reader) (client netip.AddrPort, rest []byte, err error) {
	b := bufio.NewReaderSize(r, proxyBuffer)
	h, err := proxyproto.Read(b)
	if err != nil {
		return netip.AddrPort{}, nil, fmt.Errorf("reading the PROXY header: %w", err)
	}
	if !h.Command.IsLocal() {
		addr, ok := h.SourceAddr.(*net.TCPAddr)
		if !ok {
			return netip.AddrPort{}, nil, errors.New("reading the PROXY header: the client has no address of TCP")
		}
		client = unmapped(addr.AddrPort())
	}
	rest, _ = b.Peek(b.Buffered())
	return client, rest, nil
}

// unmapped is an address with IPv4 as such, and not as IPv6 carries it.
func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// proxied reports whether the connection comes from one who has to say for whom.
func (p *Policy) proxied(peer netip.Addr) bool { return p.ProxyFrom != nil && p.ProxyFrom.Allows(peer) }

// introduce reads whom a proxy speaks for. From then on the connection counts as
// that client's; one without a name of its own counts for nobody, so that no
// penalty can hit the proxy and with it all clients.
func (c *conn) introduce() bool {
	client, rest, err := ReadProxyHeader(readerFunc(c.net.receive))
	var network net.Error
	switch {
	case err != nil && (!c.srv.startups.leave(c) || errors.Is(err, net.ErrClosed)):
		return false // it has lost its place, or the server is stopping
	case errors.As(err, &network) && network.Timeout():
		c.srv.count.timedOut.Add(1)
		c.log.Info("Timeout before the PROXY header")
		return false
	case err != nil:
		c.log.Warn("refused: no PROXY header from one who has to send it", "err", clip(err.Error(), maxLogged))
		return false
	}
	c.net.introduced(rest)
	if !client.IsValid() {
		return true
	}
	proxy := c.remote
	return c.srv.startups.rename(c, func() {
		c.setRemote(client)
		c.log = c.log.With("proxy", proxy.Addr().String())
	}) && !c.srv.refuses(c, time.Now())
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
