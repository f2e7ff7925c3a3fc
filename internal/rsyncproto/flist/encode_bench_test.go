package flist

import (
	"fmt"
	"io"
	"testing"

	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// BenchmarkEncode writes the entries of a directory of files with the names, sizes
// and times of photographs, for -a.
func BenchmarkEncode(b *testing.B) {
	const files = 1000
	names, infos := make([]string, files), make([]vfs.Info, files)
	for i := range files {
		names[i] = fmt.Sprintf("IMG_20240101_%06d.jpg", i*37)
		infos[i] = vfs.Info{Mode: vfs.ModeRegular | 0o644, UID: 1000, GID: 1000, Size: 3<<20 + int64(i*7919), Mtime: vfs.Time{Sec: 1_704_067_200 + int64(i*37)}, Nlink: 1}
	}
	for _, v := range []wire.Version{27, 32} {
		b.Run(fmt.Sprint(v), func(b *testing.B) {
			w := wire.NewWriter(io.Discard)
			w.Frame()
			e := newEncoder(w, &Options{Version: v, Links: true, Owner: true, Group: true, Devices: true, Specials: true, UserName: noName, GroupName: noName})
			b.ReportAllocs()
			for i := int32(0); b.Loop(); i++ {
				n := i % files
				e.entry("home/user/photos/", names[n], &item{info: &infos[n]}, i, 0)
			}
		})
	}
}

func noName(uint32) string { return "" }
