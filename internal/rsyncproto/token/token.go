// Package token writes the data stream of one file: literal bytes and
// references to blocks that the client already has, plain or compressed.
package token

// Writer takes the tokens of one file after the other. The implementations
// write the framing of protocol sections 4.7 (plain) and 5 (compressed).
//
// Calls for one file are any number of Literal and Match, then one End.
// Errors are those of the underlying writer and final.
type Writer interface {
	// Literal appends data that the client does not have; len(p) is not
	// bounded, the Writer splits it. p is not kept.
	Literal(p []byte) error
	// Match says that the next len(data) bytes of the file are block i of the
	// client's basis, 0 <= i < 2^31-1. data is the block's content; only the
	// zlib method needs it, it is not kept.
	Match(i int32, data []byte) error
	// End ends the file; the whole-file checksum follows on the wire.
	End() error
}
