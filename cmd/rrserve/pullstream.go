package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The server's side of a pull at protocol 27: the version and the seed, 4 bytes
// each, then frames of a header and up to maxPullFrame bytes.
const (
	streamHead   = 8
	frameHeader  = 4
	maxPullFrame = 256 << 10 // as much as the client takes
	frameBase    = 7         // added to the tag

	tagData = 0
	tagInfo = 2 // all others are about something that went wrong
)

var errPulledEnough = errors.New("as much as a trial may pull arrived")

// pullStream is the client's connection. It takes out what the server tells
// people, at the first of which this client would give up, and stops what would
// make it panic in a goroutine of its own.
type pullStream struct {
	in io.Reader
	io.Writer
	alive   func() // called before each wait
	head    int    // bytes of the stream that are not in a frame, still to come
	buf     []byte // holds one frame
	frame   []byte // of buf, still to be passed on
	content content
	size    int64
	full    bool     // as much as a trial may pull was passed on
	wrong   error    // what a server never sends
	texts   []string // the first of what was told
	more    int
}

func (s *pullStream) Read(b []byte) (int, error) {
	if s.head > 0 {
		s.alive()
		n, err := s.in.Read(b[:min(len(b), s.head)])
		s.head -= n
		return n, err
	}
	for len(s.frame) == 0 {
		s.alive()
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.frame)
	s.frame = s.frame[n:]
	return n, nil
}

// next reads a frame and keeps it if it is data.
func (s *pullStream) next() error {
	if s.buf == nil {
		s.buf = make([]byte, frameHeader+maxPullFrame)
	}
	header := s.buf[:frameHeader]
	if _, err := io.ReadFull(s.in, header); err != nil {
		return err
	}
	word := binary.LittleEndian.Uint32(header)
	tag, length := word>>24, int(word&0xffffff)
	if tag < frameBase || length > maxPullFrame {
		s.wrong = fmt.Errorf("the server sent a frame with tag %d and %d bytes; allowed are tags from %d on and %d bytes", tag, length, frameBase, maxPullFrame)
		return s.wrong
	}
	payload := s.buf[frameHeader : frameHeader+length]
	if _, err := io.ReadFull(s.in, payload); err != nil {
		return err
	}
	switch tag - frameBase {
	case tagData:
		if s.wrong = s.content.follow(payload); s.wrong != nil {
			return s.wrong
		}
		if s.size += int64(length); s.size > maxPulled || s.content.sent > maxPulledFiles {
			s.full = true
			return errPulledEnough
		}
		s.frame = s.buf[:frameHeader+length]
	case tagInfo:
	default:
		s.told(string(payload))
	}
	return nil
}

// told notes what the server told.
func (s *pullStream) told(text string) {
	if len(s.texts) == maxNamed {
		s.more++
		return
	}
	s.texts = append(s.texts, strings.TrimSpace(text))
}
