// Package delta answers the request for one file: it reads the signatures of
// the blocks that the client has (protocol sections 4.3 and 4.4), finds those
// blocks in the file (4.6, 4.10) and hands literal data and block numbers to a
// [token.Writer], together with the checksum of the whole file.
//
// [ReadHead] and [ReadSums] take the request in; a [Sender] sends the answer by
// one of its three methods.
package delta
