package token

import (
	"bytes"
	"fmt"
	"testing"

	"rrserve/internal/rsyncproto/wire"
)

func TestItems(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef-"), 4000)
	for _, held := range []int{0, 4} {
		for _, n := range []int{0, 1, 4, 5, 16382, 16383, 16384, 16387, 16388, 32766, 32767, 32770, 32771, 60000} {
			for _, step := range []int{1, 7, 16383, 60000} {
				t.Run(fmt.Sprintf("held %d, %d bytes in steps of %d", held, n, step), func(t *testing.T) {
					var b bytes.Buffer
					w := wire.NewWriter(&b)
					o := &items{w: w, held: held}
					for p := data[:n]; len(p) > 0; {
						k := min(step, len(p))
						o.Write(p[:k])
						p = p[k:]
					}
					o.flush()
					w.Flush()
					if got, want := payload(t, b.Bytes()), data[:max(0, n-held)]; !bytes.Equal(got, want) {
						t.Errorf("%d bytes, want %d", len(got), len(want))
					}
				})
			}
		}
	}
}

// payload returns the data of a row of DEFLATED_DATA items.
func payload(t *testing.T, p []byte) []byte {
	t.Helper()
	var data []byte
	for len(p) > 0 {
		if len(p) < 2 || p[0]&0xc0 != 0x40 {
			t.Fatalf("no item: % x", p[:min(2, len(p))])
		}
		n := int(p[0]&0x3f)<<8 | int(p[1])
		if n == 0 || n > len(p)-2 {
			t.Fatalf("item of %d bytes, %d left", n, len(p)-2)
		}
		data = append(data, p[2:2+n]...)
		p = p[2+n:]
	}
	return data
}
