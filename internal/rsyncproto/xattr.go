package rsyncproto

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/rsyncproto/wire"
)

// exchangesXattrs reports whether values of attributes are asked for in q and
// sent in its answer (section 7.5), be it none. Clients that do not say "x"
// leave it out with the further links of a file.
func (s *session) exchangesXattrs(q *request) bool {
	const furtherLink = itemXname | itemLocalChange
	switch {
	case s.pull.Xattrs == 0 || s.pull.DryRun || q.flags&itemReportXattr == 0:
		return false
	case s.v.XattrShortcut() && !s.compat.has(compatNoXattrOptim):
		return q.flags&furtherLink != furtherLink
	}
	return true
}

// readXattrRequest reads which values the client wants: distances between the
// numbers of attributes, up to a zero. The order of the numbers is the client's;
// the answer is in ascending order and has none twice, as with stock.
func (s *session) readXattrRequest(r *wire.Reader, q *request) error {
	long := s.list.LongXattrs(q.entry)
	var wanted []bool
	for number := int64(0); ; {
		d := r.Varint("distance to an attribute", math.MinInt32, math.MaxInt32)
		if d == 0 || r.Err() != nil {
			break
		}
		number += int64(d)
		i, ok := slices.BinarySearchFunc(long, number, func(a flist.LongXattr, n int64) int {
			return cmp.Compare(int64(a.Number), n)
		})
		if !ok {
			return protocolErrorf("could not find xattr #%d for index %d [sender]", number, q.ndx)
		}
		if wanted == nil {
			wanted = make([]bool, len(long))
		}
		wanted[i] = true
	}
	for i, w := range wanted {
		if w {
			q.xattrs = append(q.xattrs, long[i])
		}
	}
	return r.Err()
}

// sendXattrs sends the values that were asked for as they are now. One that
// cannot be read any more is sent as empty.
func (s *session) sendXattrs(q *request) {
	if len(q.xattrs) > 0 {
		s.sendValues(q)
	}
	s.w.Byte(0)
}

func (s *session) sendValues(q *request) {
	x, err := s.FS.Xattrs(q.entry.Path())
	if err == nil {
		defer x.Close()
	}
	last := int32(0)
	for _, a := range q.xattrs {
		var value []byte
		valueErr := err
		if err == nil {
			value, valueErr = x.Value(a.Name)
		}
		if valueErr != nil {
			s.report(flist.Problem{Kind: flist.XattrValue, Path: q.entry.Path().String(), Attr: a.Name, Err: valueErr})
			s.errorXfer(fmt.Sprintf("failed to re-read xattr %s for %s\n", a.Name, q.entry.Name()))
		}
		s.w.Varint(a.Number - last)
		s.w.Varint(int32(len(value)))
		s.w.Write(value)
		last = a.Number
	}
}
