// Package rsyncproto is the rsync server, sender side: one pull from the
// client's command line to the exit status. It asks a vfs.FS for the tree and
// speaks over byte streams; it knows neither SSH nor the operating system.
//
// A pull goes through these files, in this order: serve.go (the session from
// end to end), daemon.go (the opening of host::module), handshake.go (versions,
// capabilities, algorithms, seed), input.go (what the client sends), filter and
// flist (the file list), send.go (requests, answers, statistics, goodbye),
// lookahead.go (files before their turn) and transfer.go (one file). status.go
// alone turns errors into messages and exit codes, and watch.go keeps an idle
// connection alive or ends it.
package rsyncproto
