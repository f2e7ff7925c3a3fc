package checksum

// Identity says of which file, and of which state of it, a list sum is. Whatever
// changes the content of a file also changes the time of its last change, which
// nobody can choose.
type Identity struct {
	Dev, Ino  uint64
	Size      int64 // bytes
	Mtime     int64 // last change of the content, nanoseconds since 1970
	Ctime     int64 // last change of content or attributes, nanoseconds since 1970
	Algorithm Algorithm
}

// Cache remembers list sums from one session to the next. It may forget any of
// them at any time, and is used by several goroutines at once.
type Cache interface {
	// Lookup returns the sum of Algorithm.Size bytes that was stored last.
	Lookup(id Identity) (sum []byte, ok bool)
	// Store remembers a sum, and forgets those of the inode's other states.
	Store(id Identity, sum []byte)
	// Flush saves what was stored.
	Flush()
}
