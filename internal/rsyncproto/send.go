package rsyncproto

import (
	"fmt"
	"math"

	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/rsyncproto/wire"
)

// Item flags (protocol section 7.3), with rsync's names. All other bits are
// only echoed.
const (
	itemReportXattr = 0x0100 // ITEM_REPORT_XATTR
	itemBasisType   = 0x0800 // ITEM_BASIS_TYPE_FOLLOWS
	itemXname       = 0x1000 // ITEM_XNAME_FOLLOWS
	itemLocalChange = 0x4000 // ITEM_LOCAL_CHANGE
	itemTransfer    = 0x8000 // ITEM_TRANSFER
)

// Kinds of the client's basis file that matter to a sender.
const (
	basisFile    = 0x80 // FNAMECMP_FNAME: the destination itself
	basisPartial = 0x81 // FNAMECMP_PARTIAL_DIR
)

// maxXname bounds the name in a request in bytes.
const maxXname = 4095

// Entries that are listed ahead of the list in use: at least minAhead before
// the client is waited for, since it may hold its first request back until it
// has 500; up to maxAhead while it asks nothing.
const (
	minAhead = 1000
	maxAhead = 10000
)

// request is one item of the client.
type request struct {
	ndx   int32
	flags uint16
	basis byte
	xname []byte
	entry *flist.Entry
	// xattrs are the attributes whose values the client wants.
	xattrs []flist.LongXattr
}

func (q *request) transfer() bool { return q.flags&itemTransfer != 0 }
func (q *request) regular() bool  { return q.entry != nil && q.entry.IsRegular() }

// sendFiles answers requests until the client is done with the last phase.
func (s *session) sendFiles() error {
	last := 1
	if s.v.Items() {
		last = 2
	}
	for phase := 0; phase <= last; {
		if err := s.listAhead(); err != nil {
			return err
		}
		ndx := s.r.Ndx(s.v)
		if err := s.r.Err(); err != nil {
			return err
		}
		switch {
		case ndx == wire.NdxDone:
			if s.dropList() {
				s.w.Ndx(s.v, wire.NdxDone)
				continue
			}
			if phase++; phase <= last {
				s.w.Ndx(s.v, wire.NdxDone)
			}
		case ndx == wire.NdxDelStats && s.v.DelStats():
			if err := s.echoDelStats(); err != nil {
				return err
			}
		case ndx < 0:
			return s.badIndex(ndx)
		default:
			if err := s.item(ndx, phase); err != nil {
				return err
			}
		}
	}
	if bits := s.list.IOError(); bits != s.firstErrors && s.v.Varints() && !s.pull.IgnoreErrors {
		s.w.MessageInt(wire.IOError, bits)
	}
	if s.pull.Verbose > 1 {
		s.info(fmt.Sprintf("total: matches=%d  hash_hits=%d  false_alarms=%d data=%d\n",
			s.matched.blocks, s.matched.hits, s.matched.falseAlarms, s.res.Literal))
	}
	s.w.Ndx(s.v, wire.NdxDone)
	return s.w.Err()
}

// dropList releases the oldest list of an incremental recursion and reports
// whether the NDX_DONE just read was meant for a list only.
func (s *session) dropList() bool {
	if !s.compat.has(compatIncRecurse) || len(s.lists) == 0 {
		return false
	}
	s.lists[0] = nil
	s.lists = s.lists[1:]
	return len(s.lists) > 0
}

// listAhead sends further lists before a request is waited for.
func (s *session) listAhead() error {
	for s.list.More() {
		ahead := s.ahead()
		if ahead >= maxAhead || ahead >= minAhead && s.pending() {
			return nil
		}
		if err := s.nextList(); err != nil {
			return err
		}
	}
	return nil
}

// pending reports whether a request is there to be read.
func (s *session) pending() bool { return s.r.Buffered() || s.in.ready() }

// ahead counts the entries in lists behind the one in use.
func (s *session) ahead() int {
	if len(s.lists) == 0 {
		return 0
	}
	last := s.lists[len(s.lists)-1]
	inUse := s.lists[0]
	return int(last.Start) + last.Len() - int(inUse.Start) - inUse.Len()
}

// find returns the entry with index ndx. With incremental recursion the index
// before a list's first stands for the list's own directory; the first list
// need not have one, which gives nil and true.
func (s *session) find(ndx int32) (*flist.Entry, bool) {
	lo, hi := 0, len(s.lists)
	for lo < hi {
		mid := (lo + hi) / 2
		if l := s.lists[mid]; int64(ndx) >= int64(l.Start)+int64(l.Len()) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(s.lists) {
		return nil, false
	}
	l := s.lists[lo]
	switch {
	case ndx >= l.Start:
		return l.Entry(ndx), true
	case ndx == l.Start-1 && s.compat.has(compatIncRecurse):
		return l.Entry(ndx), true
	}
	return nil, false
}

func (s *session) badIndex(ndx int32) error {
	lastIndex := -1
	if n := len(s.lists); n > 0 {
		lastIndex = int(s.lists[n-1].Start) + s.lists[n-1].Len() - 1
	}
	return protocolErrorf("Invalid file index: %d (-1 - %d) [sender]", ndx, lastIndex)
}

// keepAliveItem is what clients of protocol 29 send in place of an item to
// keep the connection alive: one index past the end, flags ITEM_IS_NEW.
const keepAliveItem = 0x2000

// readRequest reads into q what follows its index, up to the sum head. A
// keep-alive is no item.
func (s *session) readRequest(r *wire.Reader, q *request) (isItem bool, err error) {
	q.flags, q.basis = itemTransfer, basisFile
	if s.v.Items() {
		q.flags = r.Short()
	}
	if s.v == 29 && q.flags == keepAliveItem && int(q.ndx) == s.lists[0].Len() {
		return false, r.Err()
	}
	entry, ok := s.find(q.ndx)
	if !ok {
		return false, s.badIndex(q.ndx)
	}
	q.entry = entry
	if q.flags&itemBasisType != 0 {
		q.basis = r.Byte()
	}
	if q.flags&itemXname != 0 {
		q.xname = r.Vstring("length of a name in a request", maxXname)
	}
	if s.exchangesXattrs(q) {
		if err := s.readXattrRequest(r, q); err != nil {
			return false, err
		}
	}
	return true, r.Err()
}

// item reads one request and answers it.
func (s *session) item(ndx int32, phase int) error {
	q := request{ndx: ndx}
	if isItem, err := s.readRequest(s.r, &q); !isItem || err != nil {
		return err
	}
	if !q.transfer() {
		s.echo(&q)
		return s.w.Err()
	}
	switch {
	case phase == 2:
		return protocolErrorf("got transfer request in phase 2 [sender]")
	case !q.regular():
		return protocolErrorf("received request to transfer non-regular file: %d [sender]", ndx)
	case s.pull.DryRun:
		s.echo(&q)
		return s.w.Err()
	}
	return s.transfer(&q)
}

// echo writes the head of an answer, which repeats the request.
func (s *session) echo(q *request) {
	s.w.Ndx(s.v, q.ndx)
	if !s.v.Items() {
		return
	}
	s.w.Short(q.flags)
	if q.flags&itemBasisType != 0 {
		s.w.Byte(q.basis)
	}
	if q.flags&itemXname != 0 {
		s.w.Vstring(q.xname)
	}
	if s.exchangesXattrs(q) {
		s.sendXattrs(q)
	}
}

// maxDeleted bounds a count of deletions (MAX_WIRE_DEL_STAT).
const maxDeleted = 1 << 28

// echoDelStats sends the client's counts of deletions back.
func (s *session) echoDelStats() error {
	counts := readDelStats(s.r)
	if err := s.r.Err(); err != nil {
		return err
	}
	s.w.Ndx(s.v, wire.NdxDelStats)
	for _, c := range counts {
		s.w.Varint(c)
	}
	return s.w.Err()
}

func readDelStats(r *wire.Reader) (counts [5]int32) {
	for i, kind := range [...]string{"files", "directories", "links", "devices", "specials"} {
		counts[i] = r.Varint(fmt.Sprintf("number of deleted %s", kind), 0, maxDeleted)
	}
	return counts
}

// goodbye sends the statistics and waits for the client's last word.
func (s *session) goodbye() error {
	s.w.Flush()
	s.stats()
	s.w.Flush()
	for {
		if !s.v.Varints() {
			if n := s.r.Int("goodbye", math.MinInt32, math.MaxInt32); s.r.Err() == nil && n != -1 {
				return protocolErrorf("Invalid packet at end of run (%d) [sender]", n)
			}
			return s.r.Err()
		}
		ndx := s.r.Ndx(s.v)
		if err := s.r.Err(); err != nil {
			return err
		}
		switch {
		case ndx == wire.NdxDelStats && s.v.DelStats():
			if err := s.echoDelStats(); err != nil {
				return err
			}
		case ndx != wire.NdxDone:
			return protocolErrorf("Invalid packet at end of run (%d) [sender]", ndx)
		case !s.v.DelStats():
			return nil
		default:
			s.w.Ndx(s.v, wire.NdxDone)
			s.w.Flush()
			if ndx := s.r.Ndx(s.v); s.r.Err() == nil && ndx != wire.NdxDone {
				return protocolErrorf("Invalid packet at end of run (%d) [sender]", ndx)
			}
			return s.r.Err()
		}
	}
}

// stats sends the statistics block (section 7.7).
func (s *session) stats() {
	s.w.Vlong(s.v, s.r.Count(), 3)
	s.w.Vlong(s.v, s.w.Count(), 3)
	s.w.Vlong(s.v, s.list.TotalSize(), 3)
	if s.v.BuildTimes() {
		s.w.Vlong(s.v, s.buildTime.Milliseconds(), 3)
		s.w.Vlong(s.v, 0, 3) // building and sending the list are one step here
	}
}
