package trial

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// The content of a pull is judged alike however it is cut into frames.
func TestContent(t *testing.T) {
	words := func(b []byte, words ...int32) []byte {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, uint32(w))
		}
		return b
	}
	list := words([]byte{1, 1, 'a'}, 1, 0, 0o100644)                                             // one byte long, of time 0
	list = append(list, sameName|sameTime|sameMode, 1, 0)                                        // the same name again
	list = words(list, -1, 0, 2)                                                                 // and 8 GiB
	list = words(append(append(list, longName|sameTime|sameMode), 3, 0, 0, 0, 'x', 'y', 'z'), 5) // a long name
	list = words(append(list, 0), 0)
	file := words(nil, 2, 0, 0, 0, 0, 3)
	file = words(append(file, "abc"...), 0, 1, 2, 3, 4)
	end := words(nil, -1, -1, 7, 8, 9)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"whole":         {append(append(list[:len(list):len(list)], file...), end...), ""},
		"no file":       {words(list[:len(list):len(list)], 3), "the server sent file number 3; allowed are those of the list, which has 3"},
		"after one":     {words(append(list[:len(list):len(list)], file...), -7), "the server sent file number -7; allowed are those of the list, which has 3"},
		"after a phase": {words(append(list[:len(list):len(list)], file...), -1, 4), "the server sent file number 4; allowed are those of the list, which has 3"},
	} {
		for _, size := range []int{1, 3, len(tt.data)} {
			var c content
			var err error
			for rest := tt.data; len(rest) > 0 && err == nil; rest = rest[min(size, len(rest)):] {
				err = c.follow(rest[:min(size, len(rest))])
			}
			if got := message(err); got != tt.want {
				t.Errorf("%s in pieces of %d: %q, want %q", name, size, got, tt.want)
			}
			if tt.want == "" && (c.files != 3 || c.sent != 1 || c.next != nil) {
				t.Errorf("%s in pieces of %d: %d files, %d sent, at the end: %t", name, size, c.files, c.sent, c.next == nil)
			}
		}
	}
}

// A trial pull ends with as many bytes and files as it may have.
func TestEnough(t *testing.T) {
	oneByte := []byte{1, 0, 0, frameBase + tagData, 0}
	for _, tt := range []struct {
		size int64
		sent int
		want error
	}{
		{0, 0, nil},
		{MaxBytes - 1, MaxFiles, nil},
		{MaxBytes, 0, ErrEnough},
		{0, MaxFiles + 1, ErrEnough},
	} {
		s := Stream{in: bytes.NewReader(oneByte), wait: func() {}, size: tt.size, content: content{sent: tt.sent}}
		n, err := s.Read(make([]byte, 10))
		if !errors.Is(err, tt.want) || s.Findings().Err != tt.want || err == nil && n != len(oneByte) {
			t.Errorf("after %d bytes and %d files: %d, %v, Err %v", tt.size, tt.sent, n, err, s.Findings().Err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
