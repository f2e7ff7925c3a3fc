// Package trial stands between a server and the client of github.com/gokrazy/rsync
// that pulls from it for rrserve check. That client gives up at the first message
// of the server, and some of what a server could send makes it panic in a
// goroutine of its own, which nobody can recover. So messages are taken out of the
// stream and kept, and what the client would not survive is an error.
package trial

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Bounds of one pull: the data in bytes, the list of files included, and the files
// whose data are taken. They lie on a disk meanwhile, and the client waits for it
// after each file.
const (
	MaxBytes = 256 << 20
	MaxFiles = 10_000
)

// MaxTexts is how many messages are kept.
const MaxTexts = 20

// The server's side of a pull at protocol 27: the version and the seed, 4 bytes
// each, then frames of a header and up to maxFrame bytes.
const (
	headSize    = 8
	frameHeader = 4
	maxFrame    = 256 << 10 // as much as the client takes
	frameBase   = 7         // added to the tag

	tagData = 0
	tagInfo = 2 // all others are about something that went wrong
)

// ErrEnough is the end of a pull that got as much as it may.
var ErrEnough = errors.New("as much as a trial may pull arrived")

// Stream is the client's connection to a server that sends a pull with -r alone.
// The client may go on reading in a goroutine after it has returned.
type Stream struct {
	io.Writer
	in      io.Reader
	wait    func()
	head    int    // bytes of the stream that are not in a frame, still to come
	buf     []byte // holds one frame
	frame   []byte // of buf, still to be passed on
	content content
	size    int64

	mu    sync.Mutex
	found Findings
}

// Findings are what a Stream has seen so far.
type Findings struct {
	Texts []string // the first messages of the server, MaxTexts of them
	More  int      // how many others there were
	Err   error    // what a server never sends, or ErrEnough
}

// Findings returns what was seen so far.
func (s *Stream) Findings() Findings {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.found
	f.Texts = slices.Clone(f.Texts)
	return f
}

func (s *Stream) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Err = err
	return err
}

// NewStream makes a Stream of the server's output and input. Before it waits for
// the server it calls wait.
func NewStream(in io.Reader, out io.Writer, wait func()) *Stream {
	return &Stream{Writer: out, in: in, wait: wait, head: headSize}
}

// Read passes the server's data on.
func (s *Stream) Read(b []byte) (int, error) {
	if s.head > 0 {
		s.wait()
		n, err := s.in.Read(b[:min(len(b), s.head)])
		s.head -= n
		return n, err
	}
	for len(s.frame) == 0 {
		s.wait()
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.frame)
	s.frame = s.frame[n:]
	return n, nil
}

// next reads a frame and keeps it if it is data.
func (s *Stream) next() error {
	if s.buf == nil {
		s.buf = make([]byte, frameHeader+maxFrame)
	}
	header := s.buf[:frameHeader]
	if _, err := io.ReadFull(s.in, header); err != nil {
		return err
	}
	word := binary.LittleEndian.Uint32(header)
	tag, length := word>>24, int(word&0xffffff)
	if tag < frameBase || length > maxFrame {
		return s.fail(fmt.Errorf("the server sent a frame with tag %d and %d bytes; allowed are tags from %d on and %d bytes", tag, length, frameBase, maxFrame))
	}
	payload := s.buf[frameHeader : frameHeader+length]
	if _, err := io.ReadFull(s.in, payload); err != nil {
		return err
	}
	switch tag - frameBase {
	case tagData:
		if err := s.content.follow(payload); err != nil {
			return s.fail(err)
		}
		if s.size += int64(length); s.size > MaxBytes || s.content.sent > MaxFiles {
			return s.fail(ErrEnough)
		}
		s.frame = s.buf[:frameHeader+length]
	case tagInfo:
	default:
		s.told(string(payload))
	}
	return nil
}

// told notes what the server told.
func (s *Stream) told(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.found.Texts) == MaxTexts {
		s.found.More++
		return
	}
	s.found.Texts = append(s.found.Texts, strings.TrimSpace(text))
}
