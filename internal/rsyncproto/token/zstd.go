package token

import "github.com/klauspost/compress/zstd"

// zstdCodec is one zstd frame that lasts for the session and never ends, as
// the reference's. Only where the level changes, for clients that named none,
// one frame ends and the next begins.
//
// The library has four levels. Its second is the counterpart of the reference's
// default, 3: it makes 0.7 % fewer bytes of logs and 1 to 3 % more of source text
// and programs, and takes about as long. The level below takes a fifth to a third
// less time and makes 4 to 10 % more bytes.
type zstdCodec struct {
	out   *items
	level int            // -131072..22
	hurry func(int) bool // nil for never
	fast  bool           // what it said last
	enc   *zstd.Encoder
}

// zstdWindow is the distance that references reach, which the client has to
// keep in memory. It is what the reference uses at its default level. Four times
// as much makes source text 0.1 to 1 % smaller and takes 12 MB more here.
const zstdWindow = 2 << 20

func (z *zstdCodec) literal(p []byte) error {
	if z.hurry != nil && z.hurry(len(p)) != z.fast {
		if err := z.endFrame(); err != nil {
			return err
		}
		z.fast = !z.fast
	}
	if z.enc == nil {
		var err error
		z.enc, err = zstd.NewWriter(z.out,
			zstd.WithEncoderLevel(z.encoderLevel()),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(1), // no goroutines
			zstd.WithEncoderCRC(false),     // it would come at the frame's end
		)
		if err != nil {
			return err
		}
	}
	_, err := z.enc.Write(p)
	return err
}

func (z *zstdCodec) encoderLevel() zstd.EncoderLevel {
	if z.fast {
		return zstd.SpeedFastest
	}
	return zstd.EncoderLevelFromZstd(z.level)
}

// endFrame ends the frame, and the item with it: the client's decoder begins the
// next frame with new input.
func (z *zstdCodec) endFrame() error {
	if z.enc == nil {
		return nil
	}
	if err := z.enc.Close(); err != nil {
		return err
	}
	z.enc = nil
	return z.out.flush()
}

func (z *zstdCodec) match([]byte) {}

func (z *zstdCodec) flush() error {
	if err := z.enc.Flush(); err != nil {
		return err
	}
	return z.out.flush()
}

func (z *zstdCodec) endFile() {}

func (z *zstdCodec) close() { z.enc = nil }
