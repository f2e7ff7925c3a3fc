package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"hash"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"
	"golang.org/x/crypto/md4"
)

// Config is the transfer checksum of a session.
type Config struct {
	Algorithm Algorithm
	// Seed is the number the server sent at the start. 0 leaves the seed out of
	// block sums of the MD family; openrsync does not, so do not send 0.
	Seed int32
	// SeedFirst puts the seed before the data in block sums. For MD5: set it
	// unless MD5 is only implied (protocol 30 and later) and compat bit 5 was not
	// sent. For MD4: leave it false; only peers whose OpenSSL provides MD4 do it
	// the other way, which the wire does not show. The others do not look at it.
	SeedFirst bool
}

// seed returns the bytes that stand for the seed in the MD family.
func (c Config) seed() []byte {
	if c.Seed == 0 {
		return nil
	}
	return binary.LittleEndian.AppendUint32(nil, uint32(c.Seed))
}

func newHash(a Algorithm) hash.Hash {
	switch a {
	case MD5:
		return md5.New()
	case MD4, MD4Auto:
		return md4.New()
	case SHA1:
		return sha1.New()
	}
	return nil
}

// File computes the checksum of one file after the other.
type File struct {
	algorithm Algorithm
	seed      []byte
	md        hash.Hash
	xxh64     *xxhash.Digest
	xxh3      *xxh3.Hasher
}

// NewFile returns the sum that follows a file's data. Only MD4Auto seeds it.
func NewFile(c Config) *File {
	f := NewList(c.Algorithm)
	if c.Algorithm == MD4Auto {
		f.seed = binary.LittleEndian.AppendUint32(nil, uint32(c.Seed))
		f.Reset()
	}
	return f
}

// NewList returns the sum of the file list, which is never seeded. The
// protocol has no list sum for None.
func NewList(a Algorithm) *File {
	f := &File{algorithm: a, md: newHash(a)}
	switch a {
	case XXH64:
		f.xxh64 = xxhash.New()
	case XXH3, XXH128:
		f.xxh3 = xxh3.New()
	}
	return f
}

// Reset begins the next file.
func (f *File) Reset() {
	switch f.algorithm {
	case XXH128, XXH3:
		f.xxh3.Reset()
	case XXH64:
		f.xxh64.Reset()
	case None:
	default:
		f.md.Reset()
		f.md.Write(f.seed)
	}
}

// Write adds data. It never fails.
func (f *File) Write(p []byte) (int, error) {
	switch f.algorithm {
	case XXH128, XXH3:
		return f.xxh3.Write(p)
	case XXH64:
		return f.xxh64.Write(p)
	case None:
		return len(p), nil
	}
	return f.md.Write(p)
}

// Sum appends the sum to dst as it goes on the wire, and leaves f as it is.
func (f *File) Sum(dst []byte) []byte {
	switch f.algorithm {
	case XXH128:
		return appendUint128(dst, f.xxh3.Sum128())
	case XXH3:
		return binary.LittleEndian.AppendUint64(dst, f.xxh3.Sum64())
	case XXH64:
		return binary.LittleEndian.AppendUint64(dst, f.xxh64.Sum64())
	case None:
		return append(dst, 0)
	}
	return f.md.Sum(dst)
}

func appendUint128(dst []byte, v xxh3.Uint128) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, v.Lo)
	return binary.LittleEndian.AppendUint64(dst, v.Hi)
}

// Block computes the strong half of block signatures, one after the other.
type Block struct {
	algorithm     Algorithm
	seed          uint64 // the seed as xxHash takes it, sign-extended
	before, after []byte // the seed as the MD family takes it
	md            hash.Hash
	xxh64         *xxhash.Digest
}

// NewBlock returns the strong block sum of a session.
func NewBlock(c Config) *Block {
	b := &Block{algorithm: c.Algorithm, seed: uint64(int64(c.Seed)), md: newHash(c.Algorithm)}
	switch {
	case c.Algorithm == XXH64:
		b.xxh64 = xxhash.NewWithSeed(b.seed)
	case c.Algorithm == SHA1, c.SeedFirst && (c.Algorithm == MD5 || c.Algorithm == MD4):
		b.before = c.seed()
	default:
		b.after = c.seed()
	}
	return b
}

// Sum appends the sum of data to dst, Algorithm.Size bytes, without
// allocating when they fit.
func (b *Block) Sum(dst, data []byte) []byte {
	switch b.algorithm {
	case XXH128:
		return appendUint128(dst, xxh3.Hash128Seed(data, b.seed))
	case XXH3:
		return binary.LittleEndian.AppendUint64(dst, xxh3.HashSeed(data, b.seed))
	case XXH64:
		b.xxh64.ResetWithSeed(b.seed)
		b.xxh64.Write(data)
		return binary.LittleEndian.AppendUint64(dst, b.xxh64.Sum64())
	case None:
		return append(dst, 0)
	}
	b.md.Reset()
	b.md.Write(b.before)
	b.md.Write(data)
	b.md.Write(b.after)
	return b.md.Sum(dst)
}
