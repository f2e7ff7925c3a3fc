package token

import "github.com/pierrec/lz4/v4"

const (
	// lz4Large is the most that an item may decompress to.
	lz4Large = 32768
	// lz4Small is the most that always fits into an item: LZ4 adds at most
	// n/255 + 16 bytes.
	lz4Small = 16303
)

// lz4Codec sends every item as one LZ4 block that depends on nothing.
type lz4Codec struct {
	out   *items
	enc   *lz4.Compressor
	in    []byte // literals that are not yet sent, at most lz4Large bytes
	dst   []byte
	piece int // number of bytes for the next item: lz4Large or lz4Small
}

func (c *lz4Codec) literal(p []byte) error {
	if c.enc == nil {
		c.enc = new(lz4.Compressor)
		c.in = make([]byte, 0, lz4Large)
		c.dst = make([]byte, lz4.CompressBlockBound(lz4Large))
		c.piece = lz4Large
	}
	for len(p) > 0 {
		n := min(len(p), cap(c.in)-len(c.in))
		c.in = append(c.in, p[:n]...)
		p = p[n:]
		for len(c.in) >= c.piece {
			if err := c.item(); err != nil {
				return err
			}
		}
	}
	return nil
}

// item sends the first bytes of c.in.
func (c *lz4Codec) item() error {
	piece := c.in[:min(len(c.in), c.piece)]
	n, err := c.enc.CompressBlock(piece, c.dst)
	switch {
	case err != nil:
		return err
	case n > maxItem:
		c.piece = lz4Small
		return c.item()
	case len(piece) == lz4Small && n <= maxItem/2:
		// It would have fitted together with as much again.
		c.piece = lz4Large
	}
	c.out.item(c.dst[:n])
	c.in = append(c.in[:0], c.in[len(piece):]...)
	return c.out.w.Err()
}

func (c *lz4Codec) match([]byte) {}

func (c *lz4Codec) flush() error {
	for len(c.in) > 0 {
		if err := c.item(); err != nil {
			return err
		}
	}
	return nil
}

func (c *lz4Codec) endFile() {}

func (c *lz4Codec) close() { c.enc, c.in, c.dst = nil, nil, nil }
