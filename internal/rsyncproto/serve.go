package rsyncproto

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"rrserve/internal/rsyncproto/argv"
	"rrserve/internal/rsyncproto/charset"
	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/delta"
	"rrserve/internal/rsyncproto/fakesuper"
	"rrserve/internal/rsyncproto/filter"
	"rrserve/internal/rsyncproto/flist"
	"rrserve/internal/rsyncproto/probe"
	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/wire"
	"rrserve/internal/vfs"
)

// Config is one pull.
type Config struct {
	// Command is the command line that the client wants to run.
	Command string
	// FS is the tree that is served.
	FS vfs.FS
	// Module is the name that FS has for clients of the daemon protocol, which
	// is what host::module over SSH means; it has no slash and no control
	// character. "": there is no module.
	Module string
	// Alias is an absolute name, without a slash at its end, that clients may put
	// before names in the tree (rrsync -absolute); "": there is none.
	Alias string
	// Probes says whether the commands of package probe are answered. Space
	// tells the room of the tree's file system for df; nil: df is refused.
	Probes bool
	Space  func() (probe.Space, error)
	// NoXattrs says that FS cannot read attributes on this system, as opposed
	// to a tree that has none: -A, -X and --fake-super are refused.
	NoXattrs bool
	// NoBtimes says that FS cannot tell times of creation on this system: -N is
	// refused.
	NoBtimes bool
	// BWLimit bounds what is sent, in KiB a second, as the client's --bwlimit
	// does; the lower of the two counts. 0: no limit.
	BWLimit int64
	// Stdin, Stdout and Stderr are the client's streams.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Abort makes pending reads and writes of the streams fail. It is called
	// when the client was waited for longer than its --timeout or Idle.
	Abort func()
	// Idle is how long the client may be waited for without progress, whatever
	// its --timeout is; 0: for ever.
	Idle time.Duration
	// SumMemory is shared by the pulls of a server; nil: each has its own bound.
	SumMemory *SumMemory
	// SumCache remembers the checksums of the file list (-c); nil: all are computed.
	SumCache checksum.Cache
	// SumDiffers is told of a file whose content is not what it was when its
	// checksum was remembered, although its times say that it did not change.
	// Several goroutines may call it at once; nil: nobody is told.
	SumDiffers func(p vfs.Path)
	// UserName and GroupName give the names of ids, "" for none; nil: no names.
	UserName, GroupName func(id uint32) string
	// MungeLinks sends the targets of links without the prefix of rsync's
	// --munge-links, unless the client says otherwise.
	MungeLinks bool
	// Seed is the checksum seed, 0 for a random one.
	Seed int32
	// Fetches bounds the files that are read before their turn together with other
	// sessions; nil: only those of this one are counted.
	Fetches *FetchLimit
	// Progress is kept up to date for those who watch; nil: nobody does.
	Progress *Progress
	// FileSent is called for each file whose data were sent, with its size in
	// bytes; nil: nobody wants to know.
	FileSent func(p vfs.Path, size int64)
	// Now is the clock of the statistics; nil: time.Now.
	Now func() time.Time
}

// Progress is how far a pull is. It may be read while the pull runs.
type Progress struct {
	Listed  atomic.Int64 // entries of the file list
	Sent    atomic.Int64 // files whose data were sent
	Written atomic.Int64 // bytes to the client
}

// Result is how a pull ended.
type Result struct {
	// Complete says that all that was asked for arrived: the client said
	// goodbye, nothing failed, and it was neither a dry run nor a listing. A
	// file that vanished meanwhile is no failure.
	Complete bool
	// DryRun says that the client wanted no data: -n or --list-only.
	DryRun bool
	// ExitStatus is rsync's exit code (errcode.h).
	ExitStatus int
	// Err is why the pull did not run to its end, nil if it did. Files that
	// could not be sent are no error here.
	Err error
	// Refused is the code of a refusal, such as E-RO, "" if there was none.
	Refused string
	// Module is the module that a client of the daemon protocol was let into,
	// "" for all others.
	Module string
	// Probe says that the command was one of package probe, and no pull.
	Probe bool
	// Protocol is the negotiated version, 0 before that.
	Protocol int
	// Listed and Sent count file-list entries and files whose data were sent.
	Listed, Sent int64
	// Failed and Vanished count what could not be sent.
	Failed, Vanished int64
	// Read and Written count bytes of the client's streams after the handshake.
	Read, Written int64
	// Literal and Matched count bytes of file data by how they were sent.
	Literal, Matched int64
	// Sums counts the checksums of the file list.
	Sums Sums
}

// session is the state of one pull.
type session struct {
	Config
	ctx  context.Context
	pull *argv.Pull
	in   *inbox
	r    *wire.Reader
	w    *wire.Writer

	// Config.Stdin as watchIdle sees it, Config.Stdout and Config.Stderr.
	input       atomic.Pointer[inbox]
	out, errOut outbox
	timedOut    atomic.Int64 // after how many nanoseconds the client was given up; 0: it was not

	v      wire.Version
	compat compat
	sums   checksum.Choice
	method token.Method

	sumConfig checksum.Config
	sender    *delta.Sender
	fetched   lookAhead
	summer    *summer // of -c; nil without

	charset *charset.Charset // of the tree's names; nil: names are sent as they are
	names   *vfs.File        // of --files-from, if it is a file of the tree
	fake    *fakesuper.Tree  // what is listed with --fake-super
	filters *filter.List
	list    *flist.Builder
	lists   []*flist.List // lists that the client still asks from, oldest first
	tokens  token.WriteCloser

	buildTime   time.Duration
	xferErrors  int64
	matched     struct{ blocks, hits, falseAlarms int64 }
	firstErrors int32  // I/O error bits that the first file list reported
	onlyListed  bool   // a client of the daemon protocol asked for the modules
	where       string // what follows a path in a message
	res         Result
}

// Serve runs one pull to its end. It returns when the client said goodbye, the
// pull failed, or ctx ended. A probe is answered in its place.
func Serve(ctx context.Context, c Config) Result {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Progress == nil {
		c.Progress = new(Progress)
	}
	s := &session{Config: c, ctx: ctx}
	s.out.w, s.errOut.w = c.Stdout, c.Stderr
	s.out.written, s.errOut.written = &c.Progress.Written, new(atomic.Int64)
	s.Stdout, s.Stderr = &s.out, &s.errOut
	defer s.watchIdle()()
	if c.Probes {
		if a, ok := (probe.System{Tree: c.FS, Alias: c.Alias, Space: c.Space}).Run(c.Command); ok {
			return s.answer(a)
		}
	}
	defer func() {
		if s.in != nil {
			s.in.close()
		}
		if s.list != nil {
			s.list.Close()
		}
		s.fetched.close()
		if s.summer != nil && s.SumCache != nil {
			s.SumCache.Flush()
		}
	}()
	return s.finish(s.run())
}

func (s *session) answer(a probe.Answer) Result {
	_, errOut := io.WriteString(s.Stdout, a.Stdout)
	_, errText := io.WriteString(s.Stderr, a.Stderr)
	return Result{ExitStatus: a.Status, Err: errors.Join(errOut, errText), Probe: true}
}

func (s *session) run() error {
	pull, err := argv.Parse(s.Command)
	if err != nil {
		return err
	}
	pull.Alias = s.Alias
	s.pull = pull
	s.in = newInbox(s.Stdin, s.flush)
	s.input.Store(s.in)
	s.r = wire.NewReader(s.in)
	refusal, err := s.readArguments()
	if err != nil || s.onlyListed {
		return err
	}
	if pull.FilesFromPath != "" {
		if err := s.openNames(); err != nil {
			return err
		}
		defer s.names.Close()
	}
	if s.NoXattrs {
		if err := pull.RefuseXattrs(); err != nil {
			return err
		}
	}
	if s.NoBtimes {
		if err := pull.RefuseBtimes(); err != nil {
			return err
		}
	}
	s.w = wire.NewWriter(throttle(s.ctx, s.Stdout, lower(pull.BWLimit, s.BWLimit)))
	stop := s.watch()
	defer stop()
	if err := s.handshake(); err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	if err := s.readFilters(); err != nil {
		return err
	}
	if err := s.sendFirstList(); err != nil {
		return err
	}
	if s.res.Listed == 0 {
		// Nothing is listed: no phase, no statistics, no goodbye.
		return s.w.Flush()
	}
	defer s.tokens.Close()
	if err := s.sendFiles(); err != nil {
		return err
	}
	return s.goodbye()
}

// readArguments reads what the client says before the protocol that all
// sessions share. A refusal is to be told in the session; an error ends it now.
func (s *session) readArguments() (refusal *argv.Refusal, err error) {
	switch {
	case s.pull.Daemon:
		refusal, err = s.openDaemon()
	case s.pull.Secluded:
		err = s.pull.ReadSecluded(s.r, s.decodeArgument)
	}
	if err == nil && refusal == nil {
		err = s.chooseCharset()
	}
	return refusal, err
}

// flush sends what was written, before the client is waited for.
func (s *session) flush() error {
	if s.w == nil {
		return nil
	}
	return s.w.Flush()
}

// readFilters reads the client's filter rules.
func (s *session) readFilters() error {
	l, err := filter.Read(s.r, s.v)
	if err != nil {
		return err
	}
	if s.pull.CVSExclude {
		l.AddCVS()
	}
	for range l.Discarded() {
		s.warning("discarding over-long filter\n")
	}
	s.filters = l
	return nil
}

// sendFirstList builds and sends the file list, with incremental recursion the
// first of them.
func (s *session) sendFirstList() error {
	args, err := s.pull.Expand(ending{s.FS, s.ctx})
	if err = cmp.Or(s.ctx.Err(), err); err != nil {
		return err
	}
	if s.pull.FilesFrom {
		if err := s.checkBase(args[0]); err != nil {
			return err
		}
	}
	s.list = flist.New(s.ctx, s.w, s.listOptions())
	start := s.Now()
	l, err := s.list.First(s.sources(args))
	if err != nil {
		return err
	}
	s.buildTime = max(s.Now().Sub(start), time.Millisecond)
	s.firstErrors = s.list.IOError()
	s.addList(l)
	if err := s.r.Err(); err != nil {
		return err
	}
	// A client that got one entry reads the next list before it asks anything.
	if s.list.More() && l.Len() <= 1 {
		return s.nextList()
	}
	return nil
}

// ending is a tree whose directories cannot be read any more when ctx has ended:
// wildcards can take minutes to look at all that they may.
type ending struct {
	vfs.FS
	ctx context.Context
}

// ReadDir is that of the tree.
func (e ending) ReadDir(p vfs.Path, buf []vfs.Info) ([]vfs.Info, error) {
	if err := e.ctx.Err(); err != nil {
		return nil, err
	}
	return e.FS.ReadDir(p, buf)
}

// checkBase makes sure that the names of --files-from have a directory that
// they are relative to.
func (s *session) checkBase(base string) error {
	p, err := vfs.ParsePath(base)
	if err != nil {
		return &baseError{s.quote(base), err}
	}
	info, err := s.FS.Lstat(p.Follow())
	if err == nil && !info.IsDir() {
		err = &vfs.Error{Op: "chdir", Path: p, Errno: vfs.ENOTDIR, Err: errors.New("not a directory")}
	}
	if err != nil {
		return &baseError{s.quote(p.String()), err}
	}
	return nil
}

func (s *session) listOptions() flist.Options {
	p := s.pull
	o := flist.Options{
		Version: s.v, FS: s.FS, Filters: s.filters,
		Recurse: p.Recurse, Dirs: p.Dirs,
		Links: p.Links, CopyLinks: p.CopyLinks, CopyDirLinks: p.CopyDirLinks, CopyUnsafeLinks: p.CopyUnsafeLinks,
		HardLinks: p.HardLinks, Owner: p.Owner, Group: p.Group,
		Devices: p.Devices, Specials: p.Specials, NumericIDs: p.NumericIDs, ATimes: p.ATimes > 0, CRTimes: p.CRTimes,
		ACLs: p.ACLs, Xattrs: p.Xattrs,
		Relative: p.Relative, NoImpliedDirs: p.NoImpliedDirs, OneFileSystem: p.OneFileSystem,
		IgnoreErrors: p.IgnoreErrors, IgnoreMissing: p.IgnoreMissingArgs, DeleteMissing: p.DeleteMissingArgs,
		Incremental: s.compat.has(compatIncRecurse),
		VarintFlags: s.compat.has(compatVarintFlist),
		SafeFlist:   s.compat.has(compatSafeFlist) || s.v.SafeFlist(),
		ID0Names:    s.compat.has(compatID0Names),
		UserName:    s.UserName, GroupName: s.GroupName,
		Unmunge:       p.MungeLinks(s.MungeLinks),
		EncodeTargets: p.Caps.Has('s'),
		Report:        s.notSent,
	}
	if p.FakeSuper {
		s.fake = fakesuper.New(s.FS)
		o.FS, o.FakeSuper = s.fake, true
	}
	if s.charset != nil {
		o.Encode = s.charset.ToUTF8
	}
	if p.Verbose > 1 {
		o.Explain = s.explain
	}
	if p.Checksum {
		o.SumLen = s.sums.List.Size()
		s.summer = newSummer(s)
		o.Sums = s.summer
	}
	return o
}

func (s *session) addList(l *flist.List) {
	if s.fake != nil {
		s.reportUnread()
	}
	s.lists = append(s.lists, l)
	s.res.Listed += int64(l.Len())
	s.Progress.Listed.Add(int64(l.Len()))
}

// nextList sends one more list of an incremental recursion.
func (s *session) nextList() error {
	l, err := s.list.Next()
	if err != nil {
		return err
	}
	if l != nil {
		s.addList(l)
	}
	return nil
}

// open opens a file whose data are wanted.
func (s *session) open(p vfs.Path) (*vfs.File, error) {
	if s.pull.NoAtime() {
		p = p.NoAtime()
	}
	return s.FS.Open(p)
}

func randomSeed() int32 {
	for {
		if s := int32(rand.Uint32()); s != 0 {
			return s
		}
	}
}
