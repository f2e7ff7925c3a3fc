package rsyncproto

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

// A file index that no list has ends the session. CVE-2025-10158: rsync took
// the one before the first list, which stands for a directory that is not
// there, for a place in memory.
func TestFileIndexBounds(t *testing.T) {
	for _, caps := range []string{"LsfxCIvu", "iLsfxCIvu"} {
		for _, ndx := range []int32{-math.MaxInt32, -6, -5, -102, 0, 1, 2, 1000, math.MaxInt32} {
			for _, flags := range []byte{0x00, 0x80} { // ITEM_TRANSFER is 0x8000
				for _, list := range []string{"ax/plain", "."} {
					var request bytes.Buffer
					w := wire.NewWriter(&request)
					w.Ndx(31, ndx)
					w.Write([]byte{0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
					w.Flush()
					_, messages, res := attrRun(t, attrTree(), "rsync --server --sender -re."+caps+" . "+list, request.Bytes())
					valid := ndx == 0 || ndx == 1 || ndx == 2 && list == "."
					if !valid && (res.ExitStatus != exitProtocol || !strings.Contains(strings.Join(messages, ""), "Invalid file index")) {
						t.Errorf("-e.%s %s: index %d, flags %x00: %+v %q", caps, list, ndx, flags, res, messages)
					}
				}
			}
		}
	}
}
