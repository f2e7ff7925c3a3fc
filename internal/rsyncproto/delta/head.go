package delta

import (
	"fmt"

	"rrserve/internal/rsyncproto/wire"
)

// Bounds of a block length. Clients below protocol 30 may go beyond what this
// package searches for.
const (
	maxBlock    = 128 << 10 // MAX_BLOCK_SIZE
	maxOldBlock = 512 << 20 // OLD_MAX_BLOCK_SIZE
)

// maxStrong is what clients ask for in a second pass, whatever the digest's
// length is (section 4.3).
const maxStrong = 16

// HeadError is a sum head that no client sends; it ends the session with exit
// code 2. Its text is the one rsync users know.
type HeadError struct {
	What string // "checksum count", "block length", "checksum length" or "remainder length"
	Got  int32
}

func (e *HeadError) Error() string {
	if e.What == blockLength && e.Got == 0 {
		return "Invalid zero block length [sender]"
	}
	return fmt.Sprintf("Invalid %s %d [sender]", e.What, e.Got)
}

const blockLength = "block length"

// Head describes the block signatures of one request. The zero Head says that
// the client has nothing of the file.
type Head struct {
	Count       int32 // number of blocks
	BlockLength int32 // bytes of each block, the last one possibly excepted
	S2Length    int32 // bytes of each strong sum on the wire
	Remainder   int32 // bytes of the last block; 0 when it is as long as the others
	// Strong is how many bytes of the strong sums mean anything: S2Length, at
	// most the length of the digest.
	Strong int32
}

// ReadHead reads the sum head of a request. size is the length of the transfer
// checksum in bytes. A head out of bounds is a *HeadError; other errors are the
// Reader's.
func ReadHead(r *wire.Reader, v wire.Version, size int) (Head, error) {
	limit := int32(maxBlock)
	if !v.Varints() {
		limit = maxOldBlock
	}
	f := fields{r: r}
	var h Head
	h.Count = f.read("checksum count", 0x7fffffff)
	h.BlockLength = f.read(blockLength, limit)
	if f.err == nil && h.Count > 0 && h.BlockLength == 0 {
		f.err = &HeadError{blockLength, 0}
	}
	h.S2Length = f.read("checksum length", max(maxStrong, int32(size)))
	h.Remainder = f.read("remainder length", h.BlockLength)
	h.Strong = min(h.S2Length, int32(size))
	if f.err != nil {
		return Head{}, f.err
	}
	return h, nil
}

// fields reads the numbers of a head up to the first one that is out of bounds.
type fields struct {
	r   *wire.Reader
	err error
}

func (f *fields) read(what string, limit int32) int32 {
	if f.err != nil {
		return 0
	}
	v := int32(f.r.Uint32())
	if f.err = f.r.Err(); f.err == nil && (v < 0 || v > limit) {
		f.err = &HeadError{what, v}
	}
	return v
}

// Write sends the head back. It announces Strong bytes of a strong sum, since
// clients apply to the echo the bound that some of them break themselves.
func (h Head) Write(w *wire.Writer) {
	w.Int(h.Count)
	w.Int(h.BlockLength)
	w.Int(h.Strong)
	w.Int(h.Remainder)
}

// BasisLength returns the number of bytes that the blocks cover. In append
// mode this is where the data begins. It is below 2^60.
func (h Head) BasisLength() int64 {
	n := int64(h.Count) * int64(h.BlockLength)
	if h.Count > 0 && h.Remainder > 0 {
		n -= int64(h.BlockLength - h.Remainder)
	}
	return n
}
