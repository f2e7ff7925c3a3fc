package jail

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// dirBuffer is the room for one getdents64 call in bytes, about 2,000 entries
// with short names.
const dirBuffer = 64 << 10

var dirBuffers = sync.Pool{New: func() any { return new([dirBuffer]byte) }}

// dirHandle is an open directory. Its entries are examined relative to it, so
// they are entries of this directory even when its name has gone to another.
type dirHandle struct {
	descriptor
	reading sync.Mutex
	buf     *[dirBuffer]byte // from dirBuffers, nil before and after the reading
	rest    []byte           // records of buf not taken yet
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
	if h.buf == nil {
		h.buf = dirBuffers.Get().(*[dirBuffer]byte)
	}
	var n int
	err := h.use(func(fd int) (err error) { n, err = unix.Getdents(fd, h.buf[:]); return err })
	h.rest = h.buf[:max(n, 0)]
	if err == nil && n <= 0 {
		err = io.EOF
	}
	if err != nil { // the reading is over
		h.rest = nil
		dirBuffers.Put(h.buf)
		h.buf = nil
	}
	return err
}

// take moves up to want entries from the records to the list. All their names
// share one string and their attributes one array.
func (h *dirHandle) take(list []os.FileInfo, want int) ([]os.FileInfo, error) {
	size, count := span(h.rest, want)
	if size == 0 {
		return list, errno{unix.EIO}
	}
	records := h.rest[:size]
	h.rest = h.rest[size:]
	text := string(records)
	infos := make([]info, count)
	for len(records) > 0 {
		at, length, next := record(records)
		at += len(text) - len(records)
		records = records[next:]
		name := text[at : at+length]
		if name == "." || name == ".." {
			continue
		}
		i := &infos[0]
		err := h.use(func(fd int) error {
			return stat(fd, name, unix.AT_SYMLINK_NOFOLLOW, i)
		})
		if err != nil {
			list = append(list, &broken{name: name, err: err})
			continue
		}
		infos = infos[1:]
		i.name = name
		list = append(list, i)
	}
	return list, nil
}

// span returns the size and the number of the leading whole records that hold
// up to want entries, not counting "." and "..".
func span(records []byte, want int) (size, count int) {
	for size < len(records) && count < want {
		at, length, next := record(records[size:])
		if next == 0 {
			break
		}
		name := records[size+at : size+at+length]
		if string(name) != "." && string(name) != ".." {
			count++
		}
		size += next
	}
	return size, count
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

// stat describes name in the directory dir. statx(2) has the same layout and
// 64-bit times on every architecture, and is older than openat2.
func stat(dir int, name string, flags int, i *info) error {
	var st unix.Statx_t
	// AT_NO_AUTOMOUNT is what stat(2) does. The time of creation costs nothing:
	// it stands beside the others.
	err := unix.Statx(dir, name, flags|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	if err != nil {
		return err
	}
	i.size = int64(st.Size)
	i.msec, i.mnsec = st.Mtime.Sec, st.Mtime.Nsec
	i.asec, i.ansec = st.Atime.Sec, st.Atime.Nsec
	if st.Mask&unix.STATX_BTIME != 0 {
		i.bsec = st.Btime.Sec
	}
	i.mode = uint32(st.Mode)
	i.uid, i.gid = st.Uid, st.Gid
	i.major, i.minor = st.Rdev_major, st.Rdev_minor
	i.dev = unix.Mkdev(st.Dev_major, st.Dev_minor)
	i.ino = st.Ino
	i.nlink = uint64(st.Nlink)
	return nil
}
