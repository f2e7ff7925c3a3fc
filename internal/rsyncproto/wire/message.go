package wire

// Code is the kind of a frame (protocol section 5.3).
type Code byte

// Message codes, with rsync's names.
const (
	Data       Code = 0   // MSG_DATA
	ErrorXfer  Code = 1   // MSG_ERROR_XFER: makes the client exit 23
	Info       Code = 2   // MSG_INFO
	Error      Code = 3   // MSG_ERROR, protocol >= 30: no effect on the exit code
	Warning    Code = 4   // MSG_WARNING, protocol >= 30
	IOError    Code = 22  // MSG_IO_ERROR
	Noop       Code = 42  // MSG_NOOP
	ErrorExit  Code = 86  // MSG_ERROR_EXIT, protocol >= 31
	Success    Code = 100 // MSG_SUCCESS
	Deleted    Code = 101 // MSG_DELETED
	NoSend     Code = 102 // MSG_NO_SEND
	codeOffset      = 7   // MPLEX_BASE
)

// maxText is the longest message text; stock clients end the session at 5120.
const maxText = 1000

// maxFrame is the largest payload of a data frame that is sent: with its
// header it fills one SSH packet of OpenSSH's size.
const maxFrame = 32764

// Special values of a file-list index.
const (
	NdxDone        int32 = -1   // NDX_DONE: end of a phase or of a list
	NdxFlistEOF    int32 = -2   // NDX_FLIST_EOF: no more lists
	NdxDelStats    int32 = -3   // NDX_DEL_STATS: deletion counts follow
	NdxFlistOffset int32 = -101 // NDX_FLIST_OFFSET: list of directory (value - n)
)

// ndxState is the memory of the index code in one direction.
type ndxState struct{ pos, neg int32 }

func newNdxState() ndxState { return ndxState{pos: -1, neg: 1} }
