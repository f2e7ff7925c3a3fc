package rsyncproto

import (
	"cmp"
	"math"

	"rrserve/internal/rsyncproto/checksum"
	"rrserve/internal/rsyncproto/token"
	"rrserve/internal/rsyncproto/wire"
)

// compat are the compat flags, in which the server says what the two sides use
// of what the client offered (protocol section 3.2).
type compat int32

const (
	compatIncRecurse     compat = 1 << iota // CF_INC_RECURSE
	compatSymlinkTimes                      // CF_SYMLINK_TIMES
	compatSymlinkIconv                      // CF_SYMLINK_ICONV
	compatSafeFlist                         // CF_SAFE_FLIST
	compatNoXattrOptim                      // CF_AVOID_XATTR_OPTIM
	compatSeedFix                           // CF_CHKSUM_SEED_FIX
	compatInplacePartial                    // CF_INPLACE_PARTIAL_DIR
	compatVarintFlist                       // CF_VARINT_FLIST_FLAGS
	compatID0Names                          // CF_ID0_NAMES
)

func (c compat) has(f compat) bool { return c&f != 0 }

// capabilities maps the letters of the client's -e option to flags.
var capabilities = []struct {
	letter byte
	flag   compat
}{
	{'f', compatSafeFlist},
	{'x', compatNoXattrOptim},
	{'C', compatSeedFix},
	{'I', compatInplacePartial},
	{'v', compatVarintFlist},
	{'u', compatID0Names},
}

// maxAlgorithms bounds a client's list of algorithm names in bytes.
const maxAlgorithms = 255

// handshake agrees on version, capabilities, algorithms and seed. The daemon
// protocol has agreed on the version before.
func (s *session) handshake() error {
	if err := s.chooseNamed(); err != nil {
		return err
	}
	if !s.pull.Daemon {
		if err := s.exchangeVersions(); err != nil {
			return err
		}
	}
	if err := s.checkAttributes(); err != nil {
		return err
	}
	if s.v.Varints() {
		s.sendCompat()
	}
	if err := s.negotiate(); err != nil {
		return err
	}
	seed := cmp.Or(s.pull.ChecksumSeed, s.Seed, randomSeed())
	s.sumConfig = checksum.Config{
		Algorithm: s.sums.Transfer,
		Seed:      seed,
		SeedFirst: s.sums.Transfer == checksum.MD5 && (s.compat.has(compatSeedFix) || !s.pull.NegotiatesChecksum()),
	}
	s.w.Int(seed)
	s.w.Frame()
	s.r.ResetCount()
	s.r.Frame(s.v.Varints())
	if err := s.w.Err(); err != nil {
		return err
	}
	return s.makeTokens()
}

func (s *session) exchangeVersions() error {
	ours := wire.MaxVersion
	if p := wire.Version(s.pull.Protocol); p != 0 {
		ours = min(ours, p)
	}
	s.w.Int(int32(ours))
	theirs := wire.Version(s.r.Int("protocol version", math.MinInt32, math.MaxInt32))
	if err := s.r.Err(); err != nil {
		return err
	}
	if theirs < 20 || theirs > 40 {
		return errNotRsync
	}
	s.v = min(ours, theirs)
	s.res.Protocol = int(s.v)
	if s.v < wire.MinVersion {
		return protocolErrorf("--protocol must be at least %d on the Server.", wire.MinVersion)
	}
	return nil
}

// checkAttributes refuses what older protocols have no fields for.
func (s *session) checkAttributes() error {
	for _, o := range []struct {
		name  string
		given bool
	}{{"--acls", s.pull.ACLs}, {"--xattrs", s.pull.Xattrs > 0}} {
		if o.given && !s.v.Attributes() {
			return protocolErrorf("%s requires protocol 30 or higher (negotiated %d).", o.name, s.v)
		}
	}
	// The flag of times of creation fits only into flags of any length.
	if s.pull.CRTimes && !(s.v.Varints() && s.pull.Caps.Has('v')) {
		return protocolErrorf("Both rsync versions must be at least 3.2.0 for --crtimes.")
	}
	return nil
}

// makeTokens prepares the stream of file data.
func (s *session) makeTokens() (err error) {
	level := token.DefaultLevel
	if s.pull.CompressLevelGiven {
		level = int(s.pull.CompressLevel)
	}
	s.tokens, err = token.NewCompressed(s.w, s.method, level, s.v, (&pace{w: s.w}).literal)
	return err
}

func (s *session) sendCompat() {
	s.compat = compatSymlinkTimes | compatSymlinkIconv
	for _, c := range capabilities {
		if s.pull.Caps.Has(c.letter) {
			s.compat |= c.flag
		}
	}
	// With -R one whole list is sent; declining is always legal.
	if s.pull.IncRecurse() && !s.pull.Relative {
		s.compat |= compatIncRecurse
	}
	s.w.Varint(int32(s.compat))
}

// chooseNamed takes the algorithms that the client fixed by name, before a
// byte is sent.
func (s *session) chooseNamed() error {
	if c := s.pull.ChecksumChoice; c != "" {
		if _, err := checksum.ParseChoice(c, wire.MaxVersion); err != nil {
			return &unsupported{err.Error()}
		}
	}
	if c := s.pull.ExplicitCompress(); c != "" {
		m, ok := token.ParseMethod(c)
		if !ok {
			return &unsupported{"unknown compress name: " + c}
		}
		s.method = m
	}
	return nil
}

// negotiate exchanges lists of algorithm names as far as the client takes part
// in it, and applies the defaults otherwise (section 3.4).
func (s *session) negotiate() error {
	lists := s.v.Varints() && s.compat.has(compatVarintFlist)
	sumList := lists && s.pull.NegotiatesChecksum()
	zipList := lists && s.pull.WantsCompression() && s.pull.ExplicitCompress() == ""
	if sumList {
		s.w.Vstring([]byte(checksum.ServerList))
	}
	if zipList {
		s.w.Vstring([]byte(token.ServerList))
	}
	if err := s.chooseSums(sumList); err != nil {
		return err
	}
	return s.chooseMethod(zipList)
}

func (s *session) chooseSums(list bool) (err error) {
	switch {
	case list:
		names := string(s.r.Vstring("checksum list", maxAlgorithms))
		if err := s.r.Err(); err != nil {
			return err
		}
		a, ok := checksum.Negotiate(names)
		if !ok {
			return errNoCommonAlgorithm
		}
		s.sums = checksum.Choice{Transfer: a, List: a}
	case s.pull.NegotiatesChecksum():
		a := checksum.Implied(s.v)
		s.sums = checksum.Choice{Transfer: a, List: a}
	default:
		if s.sums, err = checksum.ParseChoice(s.pull.ChecksumChoice, s.v); err != nil {
			return &unsupported{err.Error()}
		}
	}
	if s.pull.Checksum && s.sums.List == checksum.None {
		return &unsupported{"Invalid checksum-choice for --checksum: none (0)"}
	}
	return nil
}

func (s *session) chooseMethod(list bool) error {
	switch {
	case list:
		names := string(s.r.Vstring("compress list", maxAlgorithms))
		if err := s.r.Err(); err != nil {
			return err
		}
		m, ok := token.Negotiate(names)
		if !ok {
			return errNoCommonAlgorithm
		}
		s.method = m
	case s.pull.ExplicitCompress() == "" && s.pull.WantsCompression():
		s.method = token.Zlib
	}
	return nil
}
