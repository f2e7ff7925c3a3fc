// Package rrtest proves a server with the programs that people really use: it
// starts a server on loopback ([Rrserve], or [Sshd] as the reference), runs a
// stock rsync client against it ([Run]), and compares the trees that come out
// ([Compare]).
//
// Every server gets keys and a client configuration of its own under one
// temporary folder, so nothing of the user's ~/.ssh is read or written. In
// client arguments a server is always called "rr" ([Host]): the command lines
// and the messages are the same whichever server answers.
//
// Functions that take a [testing.TB] end the test on failure; the Start
// functions return errors and are for programs. A missing tool is a failure,
// not a skip.
package rrtest
