package test

import (
	"os"
	"strings"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// TestAbsoluteLinks follows links whose targets are absolute paths below the
// served directory, as rsync does, which may follow any. The directory is
// served by a name that is itself a link.
func TestAbsoluteLinks(t *testing.T) {
	dir := rrtest.TempDir(t)
	src := dir + "/named"
	tr := rrtest.NewTree(t, dir+"/real")
	tr.File("a.txt", "the file\n")
	tr.File("sub/x.txt", "in the directory\n")
	tr.File("sub/deep/y", "below it\n")
	tr.Symlink("as-named", src+"/a.txt")
	tr.Symlink("as-real", dir+"/real/a.txt")
	tr.Symlink("todir", src+"/sub")
	tr.Symlink("sub/deep/around", src+"/todir/../todir/x.txt")
	tr.Symlink("dangling", src+"/no-such-file")
	tr.Done()
	check(t, os.Symlink("real", src))
	reference, s := rrtest.Sshd(t, src), rrtest.UnderTest(t, src)
	n := normalizer{src: src}
	for _, line := range []string{
		"-aiL rr:", "-aik rr:", "-ai --copy-unsafe-links rr:", "-ai rr:", "-aicL rr:sub/deep/around rr:as-real",
		"-ai rr:todir/ rr:as-named", "-aiR rr:todir/deep", "-aiRL rr:todir/deep rr:as-named", "-aiL rr:dangling rr:a.txt",
		"-aiL --no-i-r rr:todir rr:sub", "-aiLH rr:",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			var got [2]outcome
			for i, server := range []*rrtest.Server{reference, s} {
				dst := rrtest.ScratchDir(t)
				words := strings.Fields(line)
				if server == reference {
					for j, w := range words {
						words[j] = strings.Replace(w, "rr:", "rr:"+src+"/", 1)
					}
					if strings.Contains(line, "R") {
						words = strings.Fields(strings.ReplaceAll(line, "rr:", "rr:"+src+"/./"))
					}
				}
				begin := time.Now().Add(-time.Second)
				res := rrtest.Run(t, server, dst+"/", words...)
				got[i] = outcome{code: res.Code, stdout: sortLines(res.Stdout), stderr: n.stderr(res.Stderr), raw: res}
				var err error
				got[i].tree, err = rrtest.Take(dst, rrtest.Aspects{FreshAfter: begin, Links: true})
				check(t, err)
			}
			if report := differences(got[0], got[1]); len(report) > 0 {
				t.Errorf("%s\n%v", strings.Join(report, "\n"), got[1].raw)
			}
		})
	}
}
