package rsyncproto

import (
	"errors"
	"fmt"

	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// transfer answers one request for a file's data (sections 4.3 to 4.12). The
// file is opened before a byte of the answer is written: what was announced
// cannot be taken back.
func (s *session) transfer(q *request) error {
	head, err := delta.ReadHead(s.r, s.v, s.sums.Transfer.Size())
	if err != nil {
		return err
	}
	again := q.entry.Sent()
	appending := s.appends(q.entry)
	var sums *delta.Sums
	if !appending && head.Count > 0 {
		limit, give := s.SumMemory.take(head)
		defer give()
		if sums, err = delta.ReadSums(s.r, head, limit); err != nil {
			return err
		}
	}
	f, err := s.openNext(q)
	if err != nil {
		s.cannotOpen(q, err)
		return s.w.Err()
	}
	defer f.Close()
	if appending && f.Info().Size < q.entry.Size() {
		s.warning(fmt.Sprintf("skipped diminished file: %s\n", s.quote(q.entry.Path().String())))
		s.noSend(q)
		return s.w.Err()
	}
	s.echo(q)
	head.Write(s.w)
	res, err := s.sendData(f, head, sums, appending, s.inPlace(q, again))
	if err != nil {
		return err
	}
	s.fetched.note(f)
	s.w.Write(res.Sum)
	if res.ReadErr != nil {
		s.list.AddIOError(flist.IOGeneral)
		s.errorXfer(fmt.Sprintf("rsync: [sender] read errors mapping %s: %s\n", s.quote(q.entry.Path().String()), reason(res.ReadErr)))
	}
	q.entry.MarkSent()
	s.res.Sent++
	s.Progress.Sent.Add(1)
	if s.FileSent != nil {
		s.FileSent(q.entry.Path(), f.Info().Size)
	}
	s.res.Literal += res.Literal
	s.res.Matched += res.Matched
	s.matched.blocks += res.Blocks
	s.matched.hits += res.Hits
	s.matched.falseAlarms += res.FalseAlarms
	return s.w.Err()
}

func (s *session) sendData(f *opened, head delta.Head, sums *delta.Sums, appending, inPlace bool) (delta.Result, error) {
	if s.sender == nil {
		s.sender = delta.NewSender(s.sumConfig)
	}
	size := f.Info().Size
	switch {
	case appending:
		return s.sender.Append(f, size, head.BasisLength(), s.appendMode() == 2, s.ctx.Err, s.tokens)
	case sums != nil:
		return s.sender.Search(f, size, sums, inPlace, s.tokens)
	}
	return s.sender.Whole(f, size, s.tokens)
}

// appends reports whether a request for e is for what its copy lacks at the end,
// and so has no block sums.
func (s *session) appends(e *flist.Entry) bool { return s.appendMode() != 0 && !e.Sent() }

// appendMode is 0, 1 for --append or 2 for --append-verify, which is what
// protocols below 30 mean by either.
func (s *session) appendMode() int {
	if s.pull.Append > 0 && !s.v.Varints() {
		return 2
	}
	return min(s.pull.Append, 2)
}

// inPlace reports whether the client overwrites the file that it takes blocks
// from, which restricts what may be referenced (section 4.10).
func (s *session) inPlace(q *request, again bool) bool {
	if !s.v.Items() {
		return s.pull.Inplace && (!s.pull.Backup || again)
	}
	switch q.basis {
	case basisFile:
		return s.pull.Inplace || s.pull.Append > 0
	case basisPartial:
		return s.compat.has(compatInplacePartial)
	}
	return false
}

// cannotOpen reports a file whose data cannot be sent.
func (s *session) cannotOpen(q *request, err error) {
	var e *vfs.Error
	path := q.entry.Path().String()
	if errors.As(err, &e) && e.Errno == vfs.ENOENT {
		s.list.AddIOError(flist.IOVanished)
		s.vanished("file", path)
	} else {
		s.list.AddIOError(flist.IOGeneral)
		s.errorXfer(fmt.Sprintf("rsync: [sender] send_files failed to open %s: %s\n", s.quote(path), reason(err)))
	}
	s.noSend(q)
}

// noSend tells the client not to wait for a file.
func (s *session) noSend(q *request) {
	if s.v.Varints() {
		s.w.MessageInt(wire.NoSend, q.ndx)
	}
}
