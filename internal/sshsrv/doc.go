// Package sshsrv is an SSH server that runs one command per session and
// nothing else: it turns an `exec` request into a call of a [Handler] with the
// command string and three byte streams, and the handler's result into the
// exit status of the channel.
//
// It has no types for a terminal, an environment, a subsystem or a forwarding,
// so none can be honoured by mistake. It executes nothing, opens no file and
// knows nothing of what the commands mean. Logins are by public key only; what
// is accepted is decided once the client has proved that it holds the key.
//
// Clients are taken for hostile. Before login they are few (Startups), brief
// (LoginGrace), short (a budget of bytes) and not welcome again when they only fail
// (penalties); after it, what they hold is counted per key and what they send
// without use is bounded. How long a command may wait for its client is for the
// handler to decide, which alone knows when it waits.
//
// Start with server.go (listener, limits, draining), then conn.go, auth.go and
// session.go in the order in which a connection passes through them.
package sshsrv
