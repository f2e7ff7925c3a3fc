package main

import (
	"slices"
	"testing"

	"rrserve/internal/config"
)

func TestChangedSnapshots(t *testing.T) {
	root := func(args ...string) *config.Root {
		return &config.Root{Path: "/srv", SnapshotCmd: args, SnapshotDir: "/snaps"}
	}
	began := &config.Config{Roots: map[string]*config.Root{"same": root("/a"), "other": root("/a"), "gone": root("/a"), "late": root(), "none": root()}}
	now := &config.Config{Roots: map[string]*config.Root{"same": root("/a"), "other": root("/a", "-v"), "late": root("/a"), "none": root(), "new": root("/a")}}
	want := []string{"roots.late.snapshot_cmd", "roots.new.snapshot_cmd", "roots.other.snapshot_cmd"}
	if got := changedSnapshots(began, now); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
