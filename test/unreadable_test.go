package test

import (
	"os"
	"testing"

	"rrserve/internal/rrtest"
)

// unreadableCommands meet files and directories that the server's user may not
// read.
var unreadableCommands = []command{
	{name: "archive", line: "-ai rr: DST/"},
	{name: "onto copy", dst: copied, line: "-ai rr: DST/"},
	{name: "onto edited with delete", dst: edited, line: "-ai --delete rr: DST/", opt: anyOrder},
	{name: "with delete and ignored errors", dst: edited, line: "-ai --delete --ignore-errors rr: DST/", opt: anyOrder},
	{name: "checksum", dst: copied, line: "-aic rr: DST/"},
	{name: "ignoring times", dst: copied, line: "-aiI --no-W --stats rr: DST/"},
	{name: "inplace", dst: copied, line: "-aiI --inplace rr: DST/"},
	{name: "compressed", line: "-aiz --zc=zlib rr: DST/"},
	{name: "one file", line: "-ai rr:modes/0644 DST/"},
	{name: "several files", line: "-ai rr:modes/0644 rr:a.txt rr:modes/0755 rr:modes/0777 DST/"},
	{name: "directory", line: "-ai rr:modes/dir0700 rr:sub DST/"},
	{name: "below a directory", line: "-ai rr:modes/dir0700/file rr:a.txt DST/"},
	{name: "glob", line: "-ai rr:modes/* DST/"},
	{name: "files from", line: "-ai --files-from=AUX/list.unreadable rr: DST/"},
	{name: "links", line: "-aiL rr:modes DST/"},
	{name: "dry run", line: "-ain rr: DST/"},
	{name: "listing", line: "-r --list-only rr:modes"},
	{name: "no inc recursive", line: "-ai --no-i-r rr: DST/"},
	{name: "protocol 30", line: "-ai --protocol=30 rr: DST/"},
	{name: "protocol 29", line: "-ai --protocol=29 rr: DST/"},
	{name: "filter file", line: "-aiF rr:filters2 DST/"},
}

// TestUnreadable compares the two servers where they run as a user who may not
// read everything; root becomes another user for that.
func TestUnreadable(t *testing.T) {
	var opts []rrtest.Option
	if os.Getuid() == 0 {
		opts = append(opts, rrtest.AsUser(65534))
	}
	f := newFixture(t, opts...)
	for _, name := range []string{"modes/0644", "modes/0755", "modes/dir0700", "filters2/.rsync-filter", "hard/h1", "data/noise.bin"} {
		check(t, os.Chmod(f.src+"/"+name, 0))
	}
	for _, c := range unreadableCommands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, defaultClient)
		})
	}
}
