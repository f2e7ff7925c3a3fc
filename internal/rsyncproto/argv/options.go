package argv

import (
	"slices"
	"strings"
)

// Action says what becomes of an option.
type Action uint8

// Actions of an Option.
const (
	Refused      Action = iota // the command is refused, with the reason
	ReceiverOnly               // accepted; it changes nothing that a sender does
	Honoured                   // acted on
)

// String returns the action as it is printed in a list of options.
func (a Action) String() string {
	switch a {
	case Honoured:
		return "honoured"
	case ReceiverOnly:
		return "accepted, no effect on the sender"
	}
	return "refused"
}

// Option is a row of the table of everything a client may send.
type Option struct {
	Short  byte     // letter, 0 for none
	Names  []string // long names without dashes
	Value  bool     // takes a value
	Action Action
	Why    string // why it is refused or has no effect; "" when Honoured

	set setter // stores the option; nil when nothing is stored
}

// Options returns the whole table, in the order in which it is to be read.
func Options() []Option { return slices.Clone(table) }

const (
	flag  = false // Option.Value
	value = true
)

func names(s string) []string { return strings.Fields(s) }

// Reasons that many rows share.
const (
	whyReceiver = "only the receiver acts on it"
	whyDisplay  = "it only changes what the client prints"
	whyServer   = "the connection is the server's own affair"
	whyLocal    = "it names a file on this machine"
	whyRules    = "filter rules come with the transfer, not on the command line"
	whyWrites   = "this server is read-only"
	whyConfine  = "it would change how the tree is confined"
)

// table holds every option of rsync 3.5.0 in its own words, and those of older
// releases and of openrsync. Flipping a row's Action is all it takes to offer
// an option whose setter exists.
var table = []Option{
	// Mode.
	{0, names("server"), flag, Honoured, "", nil},
	{0, names("sender"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.sender })},
	{'e', nil, value, Honoured, "", setCaps},
	{'s', names("secluded-args protect-args"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Secluded })},
	{0, names("protocol"), value, Honoured, "", setProtocol},
	{0, names("timeout"), value, Honoured, "", setTimeout},
	{0, names("no-timeout"), flag, Honoured, "", clearTimeout},
	{0, names("bwlimit"), value, Honoured, "", setBWLimit},
	{0, names("no-bwlimit"), flag, Honoured, "", clearBWLimit},
	{'v', names("verbose"), flag, Honoured, "", count(9, func(p *Pull) *int { return &p.Verbose })},
	{0, names("no-verbose no-v"), flag, Honoured, "", zero(func(p *Pull) *int { return &p.Verbose })},
	{'q', names("quiet"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Quiet })},
	{'n', names("dry-run"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.DryRun })},
	{0, names("list-only"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.ListOnly })},

	// What is listed.
	{'r', names("recursive"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Recurse })},
	{0, names("no-recursive no-r"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Recurse })},
	{0, names("inc-recursive i-r"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.NoIncRecurse })},
	{0, names("no-inc-recursive no-i-r qsort use-qsort"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.NoIncRecurse })},
	{'d', names("dirs old-dirs old-d"), flag, Honoured, "", choose(given, func(p *Pull) *choice { return &p.dirs })},
	{0, names("no-dirs no-d"), flag, Honoured, "", choose(negated, func(p *Pull) *choice { return &p.dirs })},
	{'R', names("relative"), flag, Honoured, "", choose(given, func(p *Pull) *choice { return &p.relative })},
	{0, names("no-relative no-R"), flag, Honoured, "", choose(negated, func(p *Pull) *choice { return &p.relative })},
	{0, names("no-implied-dirs no-i-d"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.NoImpliedDirs })},
	{0, names("implied-dirs i-d"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.NoImpliedDirs })},
	{'x', names("one-file-system"), flag, Honoured, "", count(2, func(p *Pull) *int { return &p.OneFileSystem })},
	{0, names("no-one-file-system no-x"), flag, Honoured, "", zero(func(p *Pull) *int { return &p.OneFileSystem })},
	{'C', names("cvs-exclude"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.CVSExclude })},
	{0, names("files-from"), value, Honoured, "", setFilesFrom},
	{'0', names("from0"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.From0 })},
	{0, names("no-from0"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.From0 })},
	{0, names("ignore-errors"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.IgnoreErrors })},
	{0, names("no-ignore-errors"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.IgnoreErrors })},
	{0, names("ignore-missing-args"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.IgnoreMissingArgs })},
	{0, names("delete-missing-args"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.DeleteMissingArgs })},

	// Symbolic links.
	{'l', names("links"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Links })},
	{0, names("no-links no-l"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Links })},
	{'L', names("copy-links"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.CopyLinks })},
	{'k', names("copy-dirlinks"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.CopyDirLinks })},
	{0, names("copy-unsafe-links"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.CopyUnsafeLinks })},
	{0, names("safe-links"), flag, ReceiverOnly, whyReceiver, nil},
	{0, names("munge-links"), flag, Honoured, "", choose(given, func(p *Pull) *choice { return &p.munge })},
	{0, names("no-munge-links"), flag, Honoured, "", choose(negated, func(p *Pull) *choice { return &p.munge })},
	{0, names("insecure-links no-insecure-links"), flag, Refused, whyConfine, nil},
	{0, names("confine-root"), value, Refused, whyConfine, nil},

	// What an entry carries.
	{'o', names("owner"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Owner })},
	{0, names("no-owner no-o"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Owner })},
	{'g', names("group"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Group })},
	{0, names("no-group no-g"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Group })},
	{0, names("numeric-ids"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.NumericIDs })},
	{0, names("no-numeric-ids"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.NumericIDs })},
	{'D', nil, flag, Honoured, "", setSpecialFiles(true)},
	{0, names("no-D"), flag, Honoured, "", setSpecialFiles(false)},
	{0, names("devices"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Devices })},
	{0, names("no-devices"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Devices })},
	{0, names("specials"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Specials })},
	{0, names("no-specials"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Specials })},
	{'H', names("hard-links"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.HardLinks })},
	{0, names("no-hard-links no-H"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.HardLinks })},
	{'c', names("checksum"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Checksum })},
	{0, names("no-checksum no-c"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Checksum })},
	{'U', names("atimes"), flag, Honoured, "", count(2, func(p *Pull) *int { return &p.ATimes })},
	{0, names("no-atimes no-U"), flag, Honoured, "", zero(func(p *Pull) *int { return &p.ATimes })},
	{'N', names("crtimes"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.CRTimes })},
	{0, names("no-crtimes no-N"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.CRTimes })},
	{'A', names("acls"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.ACLs })},
	{0, names("no-acls no-A"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.ACLs })},
	{'X', names("xattrs"), flag, Honoured, "", count(2, func(p *Pull) *int { return &p.Xattrs })},
	{0, names("no-xattrs no-X"), flag, Honoured, "", zero(func(p *Pull) *int { return &p.Xattrs })},
	{'p', names("perms no-perms no-p"), flag, ReceiverOnly, "permissions are always sent", nil},
	{'t', names("times no-times no-t"), flag, ReceiverOnly, "modification times are always sent", nil},
	{'E', names("executability"), flag, ReceiverOnly, "permissions are always sent", nil},
	{'a', names("archive"), flag, Refused, "send the letters that it stands for, rlptgoD", nil},
	{0, names("iconv"), value, Honoured, "", setIconv},
	{0, names("no-iconv"), flag, Honoured, "", clearIconv},
	{0, names("fake-super"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.FakeSuper })},
	{0, names("super no-super"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.FakeSuper })},
	{0, names("chmod"), value, Refused, "use it at the client, without sending it here", nil},
	{0, names("chown"), value, Refused, "use it at the client, without sending it here", nil},

	// How files are sent.
	{0, names("append"), flag, Honoured, "", count(2, func(p *Pull) *int { return &p.Append })},
	{0, names("append-verify"), flag, Honoured, "", setAppendVerify},
	{0, names("no-append"), flag, Honoured, "", zero(func(p *Pull) *int { return &p.Append })},
	{0, names("inplace"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Inplace })},
	{0, names("no-inplace"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Inplace })},
	{'b', names("backup"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.Backup })},
	{0, names("no-backup"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.Backup })},
	{0, names("open-noatime"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.OpenNoATime })},
	{0, names("no-open-noatime"), flag, Honoured, "", off(func(p *Pull) *bool { return &p.OpenNoATime })},
	{0, names("checksum-choice cc"), value, Honoured, "", algorithm(func(p *Pull) *string { return &p.ChecksumChoice })},
	{0, names("checksum-seed"), value, Honoured, "", setChecksumSeed},
	{'z', names("compress"), flag, Honoured, "", count(2, func(p *Pull) *int { return &p.zs })},
	{0, names("no-compress no-z"), flag, Honoured, "", zero(func(p *Pull) *int { return &p.zs })},
	{0, names("new-compress"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.NewCompress })},
	{0, names("old-compress"), flag, Honoured, "", on(func(p *Pull) *bool { return &p.OldCompress })},
	{0, names("compress-choice zc"), value, Honoured, "", algorithm(func(p *Pull) *string { return &p.CompressChoice })},
	{0, names("compress-level zl"), value, Honoured, "", setCompressLevel},
	{0, names("skip-compress"), value, Honoured, "", setSkipCompress},
	{0, names("compress-threads zt"), value, ReceiverOnly, "the server chooses its own number of threads", nil},
	{0, names("max-alloc"), value, ReceiverOnly, "the server has its own limits", nil},
	{0, names("copy-devices"), flag, Refused, "the contents of devices are not served", nil},

	// Receiver only.
	{'B', names("block-size"), value, ReceiverOnly, whyReceiver, nil},
	{'I', names("ignore-times"), flag, ReceiverOnly, whyReceiver, nil},
	{'J', names("omit-link-times no-omit-link-times no-J"), flag, ReceiverOnly, whyReceiver, nil},
	{'K', names("keep-dirlinks"), flag, ReceiverOnly, whyReceiver, nil},
	{'O', names("omit-dir-times no-omit-dir-times no-O"), flag, ReceiverOnly, whyReceiver, nil},
	{'S', names("sparse no-sparse no-S"), flag, ReceiverOnly, whyReceiver, nil},
	{'T', names("temp-dir"), value, ReceiverOnly, whyReceiver, nil},
	{'W', names("whole-file no-whole-file no-W"), flag, ReceiverOnly, whyReceiver, nil},
	{'m', names("prune-empty-dirs no-prune-empty-dirs no-m"), flag, ReceiverOnly, whyReceiver, nil},
	{'u', names("update"), flag, ReceiverOnly, whyReceiver, nil},
	{'y', names("fuzzy no-fuzzy no-y"), flag, ReceiverOnly, whyReceiver, nil},
	{'@', names("modify-window"), value, ReceiverOnly, whyReceiver, nil},
	{0, names("backup-dir suffix"), value, ReceiverOnly, whyReceiver, nil},
	{0, names("del delete delete-before delete-during delete-delay delete-after delete-excluded"), flag, ReceiverOnly, whyReceiver, nil},
	{0, names("force no-force existing ignore-existing ignore-non-existing size-only"), flag, ReceiverOnly, whyReceiver, nil},
	{0, names("max-delete max-size min-size"), value, ReceiverOnly, whyReceiver, nil},
	{0, names("drop-D no-drop-D"), flag, ReceiverOnly, whyReceiver, nil},
	{0, names("partial no-partial delay-updates no-delay-updates"), flag, ReceiverOnly, whyReceiver, nil},
	{0, names("partial-dir compare-dest copy-dest link-dest"), value, ReceiverOnly, whyReceiver, nil},
	{0, names("fsync preallocate mkpath no-mkpath"), flag, ReceiverOnly, whyReceiver, nil},
	{0, names("usermap groupmap"), value, ReceiverOnly, whyReceiver, nil},
	{0, names("trust-sender old-args no-old-args"), flag, ReceiverOnly, "only the client acts on it", nil},
	{0, names("no-secluded-args no-protect-args no-s"), flag, ReceiverOnly, "only the client acts on it", nil},

	// Display.
	{'8', names("8-bit-output no-8-bit-output no-8"), flag, ReceiverOnly, whyDisplay, nil},
	{'P', names("progress no-progress"), flag, ReceiverOnly, whyDisplay, nil},
	{'h', names("human-readable no-human-readable no-h"), flag, ReceiverOnly, whyDisplay, nil},
	{'i', names("itemize-changes no-itemize-changes no-i"), flag, ReceiverOnly, whyDisplay, nil},
	{0, names("info debug stderr out-format log-format"), value, ReceiverOnly, whyDisplay, nil},
	{0, names("msgs2stderr no-msgs2stderr stats motd no-motd"), flag, ReceiverOnly, whyDisplay, nil},
	{'4', names("ipv4"), flag, ReceiverOnly, "the connection exists already", nil},
	{'6', names("ipv6"), flag, ReceiverOnly, "the connection exists already", nil},
	{'V', names("version"), flag, Refused, "this is rrserve, not rsync", nil},
	{0, names("help"), flag, Refused, "this is rrserve, not rsync", nil},

	// Writing.
	{0, names("remove-source-files remove-sent-files"), flag, Refused, whyWrites, nil},
	{0, names("write-devices no-write-devices"), flag, Refused, whyWrites, nil},
	{0, names("log-file log-file-format"), value, Refused, whyWrites, nil},
	{0, names("write-batch only-write-batch"), value, Refused, whyWrites, nil},

	// Reading elsewhere.
	{0, names("read-batch"), value, Refused, whyLocal, nil},
	{0, names("exclude-from include-from"), value, Refused, whyLocal, nil},
	{0, names("password-file early-input"), value, Refused, whyLocal, nil},
	{'f', names("filter"), value, Refused, whyRules, nil},
	{'F', nil, flag, Refused, whyRules, nil},
	{0, names("exclude include"), value, Refused, whyRules, nil},

	// Server, daemon and execution.
	{0, names("daemon"), flag, Refused, "it is served only as clients send it, --server --daemon and a dot", nil},
	{0, names("config dparam address port sockopts contimeout outbuf"), value, Refused, whyServer, nil},
	{0, names("detach no-detach no-contimeout blocking-io no-blocking-io"), flag, Refused, whyServer, nil},
	{0, names("rsh rsync-path copy-as"), value, Refused, "this server runs no programs", nil},
	{'M', names("remote-option"), value, Refused, "options are not passed on", nil},
	{0, names("stop-after stop-at time-limit"), value, Refused, "use it at the client, without sending it here", nil},
}
