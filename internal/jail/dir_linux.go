package jail

import (
	"bytes"
	"encoding/binary"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dirBuffer is the room for one getdents64 call in bytes, about 1,000 entries
// with short names.
const dirBuffer = 32 << 10

var dirBuffers = sync.Pool{New: func() any { return new([dirBuffer]byte) }}

// dirHandle is an open directory. Its entries are examined relative to it, so
// they are entries of this directory even when its name has gone to another.
type dirHandle struct {
	descriptor
	reading sync.Mutex
	buf     *[dirBuffer]byte // from dirBuffers, nil before and after the reading
	rest    []byte           // records of buf not taken yet
	ended   bool             // there are no more
}

func (h *dirHandle) Read([]byte) (int, error)          { return 0, errno{unix.EISDIR} }
func (h *dirHandle) ReadAt([]byte, int64) (int, error) { return 0, errno{unix.EISDIR} }
func (h *dirHandle) Seek(int64, int) (int64, error)    { return 0, errno{unix.EISDIR} }

func (h *dirHandle) readdir(n int) (list []os.FileInfo, err error) {
	h.reading.Lock()
	defer h.reading.Unlock()
	for n <= 0 || len(list) < n {
		if len(h.rest) == 0 {
			if err = h.fill(); err != nil {
				break
			}
		}
		want := dirBuffer
		if n > 0 {
			want = n - len(list)
		}
		if list, err = h.take(list, want); err != nil {
			break
		}
	}
	if err == io.EOF && (n <= 0 || len(list) > 0) {
		err = nil
	}
	return list, err
}

// fill reads the next records, io.EOF when there are none.
func (h *dirHandle) fill() error {
	if h.ended {
		return h.use(func(int) error { return io.EOF })
	}
	if h.buf == nil {
		h.buf = dirBuffers.Get().(*[dirBuffer]byte)
	}
	var n int
	err := h.use(func(fd int) (err error) { n, err = unix.Getdents(fd, h.buf[:]); return err })
	h.rest = h.buf[:max(n, 0)]
	if err == nil && n <= 0 {
		h.ended, err = true, io.EOF
	}
	if err != nil { // the reading is over
		h.rest = nil
		dirBuffers.Put(h.buf)
		h.buf = nil
	}
	return err
}

// take moves up to want entries from the records to the list. All their names
// share one string, which has nothing but them, and their attributes one array,
// or what a list that was given back has of both.
func (h *dirHandle) take(list []os.FileInfo, want int) ([]os.FileInfo, error) {
	size, count, length := span(h.rest, want)
	if size == 0 {
		return list, errno{unix.EIO}
	}
	records := h.rest[:size]
	h.rest = h.rest[size:]
	names := joinNames(records, length)
	list = withRoom(list, count)
	err := h.use(func(fd int) error {
		for name := range entries(records) {
			i := next(list)
			i.name, names = names[:len(name)], names[len(name):]
			err := uninterrupted(func() error { return statAt(fd, &name[0], unix.AT_SYMLINK_NOFOLLOW, i) })
			if err != nil {
				list = append(list, &broken{name: i.name, err: wrap(err)})
				continue
			}
			list = append(list, i)
		}
		return nil
	})
	return list, err
}

// entries yields the names in well-formed records, but for "." and "..". Behind
// each name there is a NUL.
func entries(records []byte) iter.Seq[[]byte] {
	return func(yield func(name []byte) bool) {
		for len(records) > 0 {
			at, length, next := record(records)
			name := records[at : at+length]
			records = records[next:]
			if string(name) != "." && string(name) != ".." && !yield(name) {
				return
			}
		}
	}
}

// joinNames returns the names in the records, which have that many bytes
// together, one behind the other.
func joinNames(records []byte, length int) string {
	var b strings.Builder
	b.Grow(length)
	for name := range entries(records) {
		b.Write(name)
	}
	return b.String()
}

// span returns the size of the leading whole records that hold up to want
// entries, not counting "." and "..", the number of these entries, and the sum of
// the lengths of their names.
func span(records []byte, want int) (size, count, length int) {
	for size < len(records) && count < want {
		at, n, next := record(records[size:])
		if next == 0 {
			break
		}
		name := records[size+at : size+at+n]
		if string(name) != "." && string(name) != ".." {
			count++
			length += n
		}
		size += next
	}
	return size, count, length
}

// record finds the name in the first of the records and the start of the next;
// next is 0 when the record is not well formed. An inode number 0 is not
// special on Linux. struct linux_dirent64, getdents(2):
//
//	ino 8, off 8, reclen 2, type 1, name NUL-terminated
func record(records []byte) (at, length, next int) {
	const reclen, name = 16, 19
	if len(records) < name {
		return 0, 0, 0
	}
	next = int(binary.NativeEndian.Uint16(records[reclen:]))
	if next < name || next > len(records) {
		return 0, 0, 0
	}
	length = bytes.IndexByte(records[name:next], 0)
	if length <= 0 {
		return 0, 0, 0
	}
	return name, length, next
}

// statFD describes the object that fd is a handle of.
func statFD(fd int, name string) (*info, error) {
	i := &info{name: base(name)}
	err := uninterrupted(func() error { return stat(fd, "", unix.AT_EMPTY_PATH, i) })
	if err != nil {
		return nil, wrap(err)
	}
	return i, nil
}

// stat describes name in the directory dir.
func stat(dir int, name string, flags int, i *info) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	return statAt(dir, p, flags, i)
}

// statAt is stat for a name as the kernel reads it, of which name is the first
// byte and a NUL follows the last: getdents64 writes such names. statx(2) has
// the same layout and 64-bit times on every architecture, and is older than
// openat2.
func statAt(dir int, name *byte, flags int, i *info) error {
	var st unix.Statx_t
	// AT_NO_AUTOMOUNT is what stat(2) does. The time of creation costs nothing:
	// it stands beside the others.
	_, _, no := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(name)),
		uintptr(flags|unix.AT_NO_AUTOMOUNT), unix.STATX_BASIC_STATS|unix.STATX_BTIME, uintptr(unsafe.Pointer(&st)), 0)
	if no != 0 {
		return no
	}
	i.size = int64(st.Size)
	i.msec, i.mnsec = st.Mtime.Sec, st.Mtime.Nsec
	i.asec, i.ansec = st.Atime.Sec, st.Atime.Nsec
	i.bsec = 0 // of whoever was in this memory before
	if st.Mask&unix.STATX_BTIME != 0 {
		i.bsec = st.Btime.Sec
	}
	i.cnsec = st.Ctime.Sec*1e9 + int64(st.Ctime.Nsec)
	i.mode = uint32(st.Mode)
	i.uid, i.gid = st.Uid, st.Gid
	i.major, i.minor = st.Rdev_major, st.Rdev_minor
	i.dev = unix.Mkdev(st.Dev_major, st.Dev_minor)
	i.ino = st.Ino
	i.nlink = uint64(st.Nlink)
	return nil
}
