package main

import "testing"

// TestRefusedOnce reads a list as the start does: once more when it is known what
// the sandbox lets be read. Each refused line was logged twice.
func TestRefusedOnce(t *testing.T) {
	s := &keySource{text: "nonsense\n"}
	for i, want := range []int{1, 0, 2} {
		if i == 2 {
			s.text += "more\n"
		}
		refused, err := s.read(new(access))
		if err != nil || len(refused) != want {
			t.Errorf("reading %d: %v, %v, want %d lines", i, refused, err, want)
		}
	}
}
