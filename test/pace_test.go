package test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"rrserve/internal/rrtest"
)

// TestPace pulls text with -z and no level, at full speed and over a slow link:
// clients have to follow where the level changes and a frame of zstd ends. At full speed it
// must change, which more bytes than at level 3 show; over a slow link it must not.
// What is slow, and what is not, depends on what else the machine does: where it is
// busy it takes several runs, over links that are slower and slower.
func TestPace(t *testing.T) {
	src := t.TempDir()
	for i := range 4 {
		check(t, os.WriteFile(fmt.Sprintf("%s/log.%d", src, i), []byte(rrtest.Text(uint64(i), 8<<20)), 0o644))
	}
	check(t, os.Mkdir(src+"/many", 0o755))
	check(t, rrtest.SmallFiles(src+"/many", 1000))
	check(t, rrtest.AgeTree(src))
	old := time.Date(2021, 1, 2, 3, 4, 5, 6, time.UTC)
	check(t, os.Chtimes(src, old, old))
	server := rrtest.UnderTest(t, src)
	for name, rsync := range map[string]string{"stock": "", "3.2.7": oldClient(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := rrtest.Client{Server: server, Rsync: rsync}
			pull := func(args ...string) int64 {
				dst := rrtest.ScratchDir(t)
				res := client.Run(t, append(args, "-a", "--stats", "--compress-choice=zstd", "rr:", dst)...)
				if res.Code != 0 || res.Stderr != "" {
					t.Fatal(res)
				}
				rrtest.Compare(t, src, dst, rrtest.Aspects{})
				return stat(t, res, "Total bytes received")
			}
			level3 := pull("--compress-level=3")
			for kib := 8 << 10; ; kib /= 2 {
				if slow := pull(fmt.Sprintf("--bwlimit=%d", kib)); slow <= level3+level3/100 {
					break
				} else if kib < 200 {
					t.Fatalf("slow link of %d KiB/s: %d bytes, at level 3 %d", kib, slow, level3)
				}
			}
			for begin := time.Now(); ; {
				if quick := pull(); quick > level3+level3/100 {
					t.Logf("%d bytes, at level 3 %d", quick, level3)
					break
				} else if time.Since(begin) > rrtest.RunTimeout {
					t.Fatalf("%d bytes, as at level 3, in each run", quick)
				}
			}
		})
	}
}
