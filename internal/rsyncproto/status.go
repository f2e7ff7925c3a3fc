package rsyncproto

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/charset"
	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/fakesuper"
	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// rsync's exit codes (errcode.h), as far as a sender uses them.
const (
	exitOK          = 0
	exitSyntax      = 1  // RERR_SYNTAX
	exitProtocol    = 2  // RERR_PROTOCOL
	ExitFileSelect  = 3  // RERR_FILESELECT; also for a root that cannot be opened
	exitUnsupported = 4  // RERR_UNSUPPORTED
	exitStartClient = 5  // RERR_STARTCLIENT
	exitSocketIO    = 10 // RERR_SOCKETIO
	exitFileIO      = 11 // RERR_FILEIO
	exitStream      = 12 // RERR_STREAMIO
	ExitSignal      = 20 // RERR_SIGNAL; also for a process that was told to end
	exitPartial     = 23 // RERR_PARTIAL
	exitVanished    = 24 // RERR_VANISHED
	exitTimeout     = 30 // RERR_TIMEOUT
)

// exitText is what the last line of a failed run says.
var exitText = map[int]string{
	exitSyntax:      "syntax or usage error",
	exitProtocol:    "protocol incompatibility",
	ExitFileSelect:  "errors selecting input/output files, dirs",
	exitUnsupported: "requested action not supported",
	exitFileIO:      "error in file IO",
	exitStream:      "error in rsync protocol data stream",
	ExitSignal:      "received SIGINT, SIGTERM, or SIGHUP",
	exitTimeout:     "timeout in data send/receive",
}

// protocolError is something that a client of the protocol never sends.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return e.text }

func protocolErrorf(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

// startError ends the daemon protocol before a session begins.
type startError struct{ text string }

func (e *startError) Error() string { return e.text }

// unsupported is an algorithm that the client fixed and that cannot be used.
type unsupported struct{ text string }

func (e *unsupported) Error() string { return e.text }

// baseError is a base directory of --files-from that cannot be entered.
type baseError struct {
	path string // quoted
	err  error
}

func (e *baseError) Error() string {
	return fmt.Sprintf("rsync: [sender] change_dir %s failed: %s", e.path, reason(e.err))
}

var (
	errNotRsync          = errors.New("protocol version mismatch -- is your shell clean?\n(see the rsync manpage for an explanation)")
	errNoCommonAlgorithm = errors.New("no algorithm in common with the client")
)

// finish turns the end of run into an exit status and, where the client can
// still be told, a message. It is the only place that does.
func (s *session) finish(err error) Result {
	if after := time.Duration(s.timedOut.Load()); after > 0 {
		err = timeoutError{int(after.Seconds())}
	}
	if errors.Is(err, context.Canceled) { // which of two ends is known to who ended it
		err = cmp.Or(context.Cause(s.ctx), err)
	}
	s.res.Err = err
	s.res.ExitStatus = s.status(err)
	if s.pull != nil {
		s.res.DryRun = s.pull.DryRun || s.pull.ListOnly
	}
	whole := s.res.ExitStatus == 0 || s.res.ExitStatus == exitVanished
	s.res.Complete = err == nil && whole && s.res.Listed > 0 && !s.res.DryRun
	if s.w != nil {
		s.res.Read, s.res.Written = s.r.Count(), s.w.Count()
	}
	if s.summer != nil {
		s.res.Sums = s.summer.counts()
	}
	return s.res
}

type timeoutError struct{ seconds int }

func (e timeoutError) Error() string {
	return fmt.Sprintf("io timeout after %d seconds -- exiting", e.seconds)
}

func (s *session) status(err error) int {
	var (
		refusal *argv.Refusal
		peer    *wire.PeerExit
		rules   *filter.SyntaxError
		bad     *protocolError
		head    *delta.HeadError
		frame   *wire.FrameError
		rng     *wire.RangeError
		start   *startError
		base    *baseError
		name    *unsupported
		list    *nameListError
		corrupt *fakesuper.Corrupt
		timeout timeoutError
	)
	switch {
	case err == nil:
		return s.partial()
	case errors.As(err, &timeout):
		return exitTimeout
	case errors.As(err, &refusal):
		s.res.Refused = string(refusal.Code)
		if s.w != nil && s.w.Framed() {
			return s.fail(refusal.Status, refusal.Error()+"\n") // which adds the last line itself
		}
		return s.fail(refusal.Status, refusal.Text)
	case errors.As(err, &start):
		s.res.Refused = string(argv.CodeDaemon)
		io.WriteString(s.Stdout, "@ERROR: "+start.text+"\n")
		return exitStartClient
	case errors.As(err, &peer):
		return int(peer.Code & 0xff) // as much as a process can exit with
	case errors.As(err, &rules):
		return s.fail(exitSyntax, rules.Error()+"\n")
	case errors.As(err, &base):
		s.errorXfer(base.Error() + "\n")
		return s.fail(ExitFileSelect, "")
	case errors.As(err, &list):
		return s.fail(exitSyntax, fmt.Sprintf("%v\nrsync error: %s (code %d) [server=rrserve]\n", list, exitText[exitSyntax], exitSyntax))
	case errors.As(err, &corrupt):
		return s.fail(exitFileIO, fmt.Sprintf("Corrupt %s xattr attached to %s: \"%s\"\n",
			fakesuper.Attr, s.quote(corrupt.Path.String()), corrupt.Value))
	case errors.Is(err, errNotRsync):
		return s.fail(exitProtocol, err.Error()+"\n")
	case errors.As(err, &name):
		return s.fail(exitUnsupported, fmt.Sprintf("%v\nrsync error: %s (code %d) [sender=rrserve]\n", err, exitText[exitUnsupported], exitUnsupported))
	case errors.Is(err, errNoCommonAlgorithm):
		return exitUnsupported // the client says it
	case errors.As(err, &bad):
		return s.fail(exitProtocol, bad.text+"\n")
	case errors.As(err, &head):
		return s.fail(exitProtocol, head.Error()+"\n")
	case errors.As(err, &rng):
		return s.fail(exitProtocol, fmt.Sprintf("protocol error: %v [sender]\n", rng))
	case errors.As(err, &frame), errors.Is(err, wire.ErrBadNumber):
		return s.fail(exitStream, fmt.Sprintf("protocol error: %v [sender]\n", err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return s.fail(ExitSignal, "rsync: the server is shutting down\n")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return exitStream
	}
	return exitSocketIO
}

// partial is the status of a session that ran to its end.
func (s *session) partial() int {
	bits := int32(0)
	if s.list != nil {
		bits = s.list.IOError()
	}
	switch {
	case s.xferErrors > 0 || bits&flist.IOGeneral != 0:
		return exitPartial
	case bits&flist.IOVanished != 0:
		return exitVanished
	}
	return exitOK
}

// fail tells the client why the session ends (section 8.2): before anything is
// multiplexed on stderr, later in the stream.
func (s *session) fail(code int, text string) int {
	if s.w == nil || !s.w.Framed() {
		s.flush() // our version: the client may find the same fault itself
		io.WriteString(s.Stderr, text)
		return code
	}
	tag := wire.Error
	if !s.v.Varints() {
		tag = wire.ErrorXfer
	}
	if text != "" {
		s.w.Text(tag, s.text(text))
	}
	switch {
	case s.v.ErrorExit():
		// Clients that are told the code leave the last line to us.
		s.w.Text(tag, fmt.Sprintf("rsync error: %s (code %d) [sender=rrserve]\n", exitText[code], code))
		s.w.MessageInt(wire.ErrorExit, int32(code))
		s.drain()
	case s.list == nil:
		s.sendNothing()
	}
	s.w.Flush()
	return code
}

// drain drops what the client still sends, so that it reads our last words
// before it finds the connection closed.
func (s *session) drain() {
	s.w.Flush()
	stop := time.AfterFunc(drainTime, s.Abort)
	defer stop.Stop()
	io.Copy(io.Discard, s.in)
}

// drainTime bounds how long a client may take to end after it was told to.
const drainTime = 10 * time.Second

// sendNothing sends an empty list, after which clients of protocols without
// MSG_ERROR_EXIT take our exit status.
func (s *session) sendNothing() {
	l := flist.New(s.ctx, s.w, s.listOptions())
	l.First(func(func(flist.Source) bool) {})
	if l.More() {
		l.Next()
	}
}

// notSent is flist.Options.Report. An attribute of --fake-super that makes no
// sense ends the session, as with stock.
func (s *session) notSent(p flist.Problem) error {
	if c, ok := errors.AsType[*fakesuper.Corrupt](p.Err); ok {
		return c
	}
	s.report(p)
	return nil
}

// reportUnread tells the client what was listed as it is because its attribute
// of --fake-super cannot be read.
func (s *session) reportUnread() {
	for _, e := range s.fake.Unread() {
		s.errorXfer(fmt.Sprintf("rsync: [sender] failed to read xattr %s for %s: %s\n", fakesuper.Attr, s.quote(e.Path.String()), reason(e)))
	}
}

// report tells the client about a name that is not sent.
func (s *session) report(p flist.Problem) {
	switch p.Kind {
	case flist.LinkStat:
		s.failed("link_stat", p.Path, p.Err)
	case flist.ChangeDir:
		s.failed("change_dir", p.Path, p.Err)
	case flist.OpenDir:
		s.failed("opendir", p.Path, p.Err)
	case flist.ReadDir:
		s.errorXfer(fmt.Sprintf("rsync: [sender] readdir(%s): %s\n", s.quote(p.Path), reason(p.Err)))
	case flist.ReadlinkStat:
		s.errorXfer(fmt.Sprintf("rsync: [sender] readlink_stat(%s) failed: %s\n", s.quote(p.Path), reason(p.Err)))
	case flist.Vanished:
		s.vanished("file", p.Path)
	case flist.DirVanished:
		s.vanished("directory", p.Path)
	case flist.NoReferent:
		s.errorXfer(fmt.Sprintf("symlink has no referent: %s\n", s.quote(p.Path)))
	case flist.NameTooLong:
		s.errorXfer(fmt.Sprintf("filename overflows max-path len: %s\n", p.Path))
	case flist.EmptyLink:
		s.errorXfer(fmt.Sprintf("skipping symlink with 0-length value: %s\n", s.quote(p.Path)))
	case flist.AccessACL:
		s.errorXfer(fmt.Sprintf("rsync: [sender] get_acl: sys_acl_get_file(%s, ACL_TYPE_ACCESS): %s\n", p.Path, reason(p.Err)))
	case flist.DefaultACL:
		s.errorXfer(fmt.Sprintf("rsync: [sender] get_acl: sys_acl_get_file(%s, ACL_TYPE_DEFAULT): %s\n", p.Path, reason(p.Err)))
	case flist.XattrNames:
		s.errorXfer(fmt.Sprintf("rsync: [sender] get_xattr_names: llistxattr(%s,1024) failed: %s\n", s.quote(p.Path), reason(p.Err)))
	case flist.XattrValue:
		s.errorXfer(fmt.Sprintf("rsync: [sender] get_xattr_data: lgetxattr(%s,\"%s\",0) failed: %s\n", s.quote(p.Path), p.Attr, reason(p.Err)))
	case flist.SkippedDir:
		s.info(fmt.Sprintf("skipping directory %s\n", p.Path))
	case flist.UnsafeLink:
		if s.pull.Verbose > 0 {
			s.info(fmt.Sprintf("copying unsafe symlink \"%s\" -> \"%s\"\n", p.Path, p.Err))
		}
	case flist.BadName:
		s.errorXfer(fmt.Sprintf("[sender] cannot convert filename: %s (%s)\n", p.Path, notConverted(p.Err)))
	case flist.BadTarget:
		s.errorXfer(fmt.Sprintf("[sender] cannot convert symlink data for: \"%s\" (%s)\n", p.Path, notConverted(p.Err)))
	}
}

// notConverted is strerror(3) of what iconv(3) says.
func notConverted(err error) string {
	if errors.Is(err, charset.ErrIncomplete) {
		return "Invalid argument"
	}
	return "Invalid or incomplete multibyte or wide character"
}

// explain tells somebody who debugs rules which one decided.
func (s *session) explain(name string, isDir bool, why filter.Decision) {
	kind, verb := "file", "showing"
	if isDir {
		kind = "directory"
	}
	if why.Excluded {
		verb = "hiding"
	}
	list := ""
	if why.List != "" {
		list = " [" + why.List + "]"
	}
	s.info(fmt.Sprintf("[sender] %s %s %s because of pattern %s%s\n", verb, kind, name, why.Pattern, list))
}

// quote is how a path of the tree appears in a message: with the module's name
// behind it if there is one, as from a daemon.
func (s *session) quote(path string) string { return `"` + path + `"` + s.where }

func (s *session) failed(what, path string, err error) {
	s.errorXfer(fmt.Sprintf("rsync: [sender] %s %s failed: %s\n", what, s.quote(path), reason(err)))
}

// errorXfer sends an error that makes the client exit with code 23.
func (s *session) errorXfer(text string) {
	s.xferErrors++
	s.res.Failed++
	s.w.Text(wire.ErrorXfer, s.text(text))
}

func (s *session) vanished(what, path string) {
	s.res.Vanished++
	s.warning(fmt.Sprintf("%s has vanished: %s\n", what, s.quote(path)))
}

func (s *session) warning(text string) {
	if s.v.Varints() {
		s.w.Text(wire.Warning, s.text(text))
	} else {
		s.w.Text(wire.Info, s.text(text))
	}
}

func (s *session) info(text string) {
	if !s.pull.Quiet {
		s.w.Text(wire.Info, s.text(text))
	}
}

// reason is how C programs print an error: text and number.
func reason(err error) string {
	if errors.Is(err, delta.ErrShrunk) {
		return "No data available (61)"
	}
	var e *vfs.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("%v (%d)", err, vfs.EIO)
	}
	n := e.Errno
	if n == vfs.EXDEV {
		n = vfs.ENOENT // a link out of the tree is one that leads nowhere
	}
	if text, ok := errnoText[n]; ok {
		return fmt.Sprintf("%s (%d)", text, n)
	}
	return fmt.Sprintf("%v (%d)", e.Err, n)
}

// reasonText is reason without the number.
func reasonText(err error) string {
	text := reason(err)
	if i := strings.LastIndex(text, " ("); i >= 0 {
		text = text[:i]
	}
	return text
}

// errnoText is strerror(3) of the C locale on Linux.
var errnoText = map[int]string{
	1:   "Operation not permitted",
	2:   "No such file or directory",
	4:   "Interrupted system call",
	5:   "Input/output error",
	6:   "No such device or address",
	9:   "Bad file descriptor",
	11:  "Resource temporarily unavailable",
	12:  "Cannot allocate memory",
	13:  "Permission denied",
	16:  "Device or resource busy",
	19:  "No such device",
	20:  "Not a directory",
	21:  "Is a directory",
	22:  "Invalid argument",
	23:  "Too many open files in system",
	24:  "Too many open files",
	34:  "Numerical result out of range",
	36:  "File name too long",
	38:  "Function not implemented",
	40:  "Too many levels of symbolic links",
	61:  "No data available",
	74:  "Bad message",
	75:  "Value too large for defined data type",
	95:  "Operation not supported",
	103: "Software caused connection abort",
	107: "Transport endpoint is not connected",
	110: "Connection timed out",
	112: "Host is down",
	113: "No route to host",
	116: "Stale file handle",
	117: "Structure needs cleaning",
	121: "Remote I/O error",
}
