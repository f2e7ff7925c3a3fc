// Package deltatest plays the client's side of one file: it describes a basis
// by block signatures as a client does and puts the file together again.
package deltatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/wire"
)

// Request returns the sum head and the signatures of basis, s2length bytes of
// each strong sum, as they come over the wire. A strong sum shorter than
// s2length is followed by garbage, as clients 3.2.0 to 3.4.3 do.
func Request(c checksum.Config, basis []byte, blockLength, s2length int) []byte {
	var p []byte
	if len(basis) > 0 {
		count := (len(basis) + blockLength - 1) / blockLength
		p = Head(count, blockLength, s2length, len(basis)%blockLength)
	} else {
		p = Head(0, 0, 0, 0)
	}
	sum := checksum.NewBlock(c)
	for len(basis) > 0 {
		block := basis[:min(blockLength, len(basis))]
		basis = basis[len(block):]
		p = binary.LittleEndian.AppendUint32(p, Weak(block))
		strong := append(sum.Sum(nil, block), "garbage behind a short digest"...)
		p = append(p, strong[:s2length]...)
	}
	return p
}

// Head returns the four numbers of a sum head.
func Head(count, blockLength, s2length, remainder int) []byte {
	var p []byte
	for _, n := range []int{count, blockLength, s2length, remainder} {
		p = binary.LittleEndian.AppendUint32(p, uint32(int32(n)))
	}
	return p
}

// Weak is the rolling checksum as section 4.5 defines it.
func Weak(p []byte) uint32 {
	var s1, s2 uint32
	for _, b := range p {
		s1 += uint32(int32(int8(b)))
		s2 += s1
	}
	return s1&0xffff | s2<<16
}

// Read decodes what Request returned.
func Read(c checksum.Config, request []byte) (*delta.Sums, error) {
	r := wire.NewReader(bytes.NewReader(request))
	h, err := delta.ReadHead(r, wire.MinVersion, c.Algorithm.Size())
	if err != nil {
		return nil, err
	}
	return delta.ReadSums(r, h, delta.MemoryLimit)
}

// Receiver is a token.Writer that puts a file together as a client does.
type Receiver struct {
	Head  delta.Head
	Basis []byte
	// InPlace writes over the basis, so that a block reads what is there by then.
	InPlace bool
	// FailAfter lets the calls after the first ones fail with Err.
	FailAfter int
	Err       error

	File              []byte  // what was received
	Literals, Matches int64   // bytes
	Blocks            []int32 // blocks in the order of their references
	Ended             bool
}

// NewReceiver returns a Receiver that never fails.
func NewReceiver(h delta.Head, basis []byte, inPlace bool) *Receiver {
	return &Receiver{Head: h, Basis: bytes.Clone(basis), InPlace: inPlace, FailAfter: math.MaxInt}
}

func (r *Receiver) call() error {
	if r.Ended {
		return fmt.Errorf("token after the end")
	}
	if r.FailAfter--; r.FailAfter < 0 {
		return r.Err
	}
	return nil
}

func (r *Receiver) put(p []byte) {
	if r.InPlace {
		copy(r.Basis[min(len(r.File), len(r.Basis)):], p)
	}
	r.File = append(r.File, p...)
}

// Literal implements token.Writer.
func (r *Receiver) Literal(p []byte) error {
	if err := r.call(); err != nil {
		return err
	}
	if len(p) == 0 {
		return fmt.Errorf("empty literal")
	}
	r.put(p)
	r.Literals += int64(len(p))
	return nil
}

// Match implements token.Writer.
func (r *Receiver) Match(i int32, data []byte) error {
	if err := r.call(); err != nil {
		return err
	}
	if i < 0 || i >= r.Head.Count {
		return fmt.Errorf("block %d of %d", i, r.Head.Count)
	}
	n := int(r.Head.BlockLength)
	if i == r.Head.Count-1 && r.Head.Remainder != 0 {
		n = int(r.Head.Remainder)
	}
	if len(data) != n {
		return fmt.Errorf("block %d has %d bytes, not %d", i, n, len(data))
	}
	r.put(bytes.Clone(r.Basis[int(i)*int(r.Head.BlockLength):][:n]))
	r.Matches += int64(n)
	r.Blocks = append(r.Blocks, i)
	return nil
}

// End implements token.Writer.
func (r *Receiver) End() error {
	err := r.call()
	r.Ended = err == nil
	return err
}
