package sumcache

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"rrserve/internal/rsyncproto/checksum"
)

// A checksum in the database, all numbers big-endian:
//
//	key     reader 8, device 8, inode 8, algorithm 1
//	record  size 8, mtime 8, ctime 8, checksum, xxh64 of all this and the key 8
//
// The hash at the end keeps half of one record from being taken for a part of
// another, whatever became of the file.
type (
	key    [25]byte
	record []byte
)

const recordHead, recordTail = 24, 8

func newKey(reader uint64, id checksum.Identity) (k key) {
	binary.BigEndian.PutUint64(k[0:], reader)
	binary.BigEndian.PutUint64(k[8:], id.Dev)
	binary.BigEndian.PutUint64(k[16:], id.Ino)
	k[24] = byte(id.Algorithm)
	return k
}

func (k key) compare(other key) int { return bytes.Compare(k[:], other[:]) }

func newRecord(k key, id checksum.Identity, sum []byte) record {
	r := make(record, 0, recordHead+len(sum)+recordTail)
	r = appendState(r, id)
	r = append(r, sum...)
	return binary.BigEndian.AppendUint64(r, r.hash(k))
}

// appendState appends what tells the states of a file apart.
func appendState(b []byte, id checksum.Identity) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(id.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(id.Mtime))
	return binary.BigEndian.AppendUint64(b, uint64(id.Ctime))
}

// sum returns a copy of the checksum if the record is whole and that of id,
// otherwise nil.
func (r record) sum(k key, id checksum.Identity) []byte {
	if len(r) != recordHead+id.Algorithm.Size()+recordTail {
		return nil
	}
	body, tail := r[:len(r)-recordTail], r[len(r)-recordTail:]
	var state [recordHead]byte
	if !bytes.HasPrefix(body, appendState(state[:0], id)) || binary.BigEndian.Uint64(tail) != body.hash(k) {
		return nil
	}
	return bytes.Clone(body[recordHead:])
}

// hash is that of a record without its own.
func (r record) hash(k key) uint64 {
	var all [len(k) + recordHead + checksum.MaxSize]byte
	return xxhash.Sum64(append(append(all[:0], k[:]...), r...))
}

// following is the name of the generation after that of the name last, nil for
// none.
func following(last []byte) []byte {
	var n uint64
	if len(last) == 8 {
		n = binary.BigEndian.Uint64(last)
	}
	return binary.BigEndian.AppendUint64(nil, n+1)
}
