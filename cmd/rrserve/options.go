package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/cpu"

	"rrserve/internal/config"
	"rrserve/internal/sshsrv"
)

// inlineKeysVariable stands for no flag: it holds whole lines of authorized_keys,
// where each line of RRSERVE_AUTHORIZED_KEY may be a file.
const inlineKeysVariable = "RRSERVE_AUTHORIZED_KEYS"

// options are the flags, and the environment where it stands in for them.
type options struct {
	root           string
	authorizedKeys []string // files, or the keys themselves
	inlineKeys     string   // keys themselves, from the environment
	inlineName     string   // of the variable that they are from
	keysDir        string
	config         string // file
	unit           string // whose variables count too; "" for none
	metricsListen  string // "" for none
	listen         string
	listenGiven    bool     // by the flag or the environment
	hostKeys       []string // files
	stateDir       string
	user           string
	ciphers        []string
	maxSessions    int
	maxPerKey      int
	maxStartups    string
	loginGrace     time.Duration
	noPenalties    bool
	proxyFrom      []string // networks
	idleTimeout    time.Duration
	drainTime      time.Duration
	mungeLinks     bool
	absolute       bool
	checksumCache  string // file, "" for none
	readOnly       bool
	runAs          string
	readAll        bool
	sandbox        string // "" for the default
	noProbes       bool
	auditLog       string // file; "" for none, "-" for standard output
	logFormat      string
	logLevel       string

	unitFile  string             // of unit, "" if there is none; set by read
	variables map[string]string  // of unit, set by read
	given     *given             // what the following is not in, set by fromFile
	flags     *pflag.FlagSet     // that set all this, set by fromFile
	file      *config.Config     // the content of config, set by fromFile
	level     slog.Level         // logLevel, set by check
	startups  sshsrv.Startups    // maxStartups, set by check
	proxies   sshsrv.AddressList // proxyFrom, set by check
}

func (o *options) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.root, "root", "", "serve this `DIR`ectory")
	f.StringArrayVar(&o.authorizedKeys, "authorized-key", nil, "let this `KEY` log in: a file of public keys, read again at each login, or a key itself; repeatable")
	f.StringVar(&o.keysDir, "keys-dir", "", "let the keys of each NAME.pub in this `DIR`ectory log in, as the client NAME")
	o.registerConfig(f)
	o.registerListen(f)
	f.StringVar(&o.user, "user", "", "accept this SSH user `NAME` only (default: any)")
	f.StringSliceVar(&o.ciphers, "ciphers", defaultCiphers(), "SSH ciphers to offer, comma-separated `NAMES`; without it, what suits the CPU and the client")
	f.IntVar(&o.maxSessions, "max-sessions", sshsrv.DefaultMaxSessions, "serve at most `N` transfers at once")
	f.IntVar(&o.maxPerKey, "max-sessions-per-key", sshsrv.DefaultMaxSessionsPerKey, "of these, at most `N` for one key")
	f.StringVar(&o.maxStartups, "max-startups", sshsrv.DefaultStartups.String(), "connections before login, as in sshd_config: `START:RATE:FULL`; drops those that stall")
	f.DurationVar(&o.loginGrace, "login-grace-time", sshsrv.DefaultLoginGrace, "end connections that have not logged in after this `TIME`")
	f.BoolVar(&o.noPenalties, "no-penalties", false, "do not refuse addresses for a time that only fail to log in")
	f.StringArrayVar(&o.proxyFrom, "proxy-protocol-from", nil, "expect the PROXY protocol, version 1 or 2, from load balancers in this `NETWORK`, and from nobody else; repeatable")
	f.DurationVar(&o.idleTimeout, "idle-timeout", sshsrv.DefaultIdle, "end sessions in which the client was waited for this `TIME`, and connections without one")
	f.DurationVar(&o.drainTime, "drain-time", sshsrv.DefaultDrain, "when told to stop, wait this `TIME` for running transfers")
	f.BoolVar(&o.mungeLinks, "munge-links", false, "send the targets of symbolic links without the prefix that rsync --munge-links gave them")
	f.BoolVar(&o.absolute, "absolute", false, "let clients put the path of --root before names, as with rrsync -absolute")
	f.StringVar(&o.checksumCache, "checksum-cache", "", "remember in this `FILE` the checksums that clients ask for with -c")
	f.BoolVar(&o.readOnly, "read-only", true, "accepted, and always on")
	f.BoolVar(&o.noProbes, "no-probes", false, "refuse the commands that backup tools try before a pull, such as true and test -d")
	o.registerConfinement(f)
	o.registerMetrics(f)
	f.StringVar(&o.auditLog, "audit-log", "", "write a line for each file that is sent to this `FILE`, or to standard output (-)")
	o.registerLog(f)
}

// registerLog registers the flags that the snapshot broker has too.
func (o *options) registerLog(f *pflag.FlagSet) {
	f.StringVar(&o.logFormat, "log-format", "text", "log in this `FORMAT`: text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "log from this `LEVEL` on: debug, info, warn or error")
}

// Flags that subcommands have too are registered on their own.

func (o *options) registerListen(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "listen", ":2222", "listen on this TCP `ADDRESS`, unless systemd hands over a socket")
	f.StringArrayVar(&o.hostKeys, "host-key", nil, "private host key `FILE`, ed25519 or RSA; repeatable (default: one made in the state directory)")
	f.StringVar(&o.stateDir, "state-dir", "", "keep the host key in this `DIR`ectory (default: $STATE_DIRECTORY, /var/lib/rrserve or ~/.local/state/rrserve)")
}

func (o *options) registerConfig(f *pflag.FlagSet) {
	f.StringVar(&o.config, "config", "", "read this configuration `FILE` (default: "+systemConfigFile+", if there is one)")
}

// registerUnit is for the commands that look at the server as it is configured.
func (o *options) registerUnit(f *pflag.FlagSet) {
	f.StringVar(&o.unit, "unit", serviceUnit, "take also the RRSERVE_ variables of this systemd `UNIT`, if there is one; the environment wins over them. \"\" for none")
}

func (o *options) registerMetrics(f *pflag.FlagSet) {
	f.StringVar(&o.metricsListen, "metrics-listen", "", "answer metrics, health checks and a status page over HTTP on this TCP `ADDRESS`, such as 127.0.0.1:9222")
}

// registerConfinement registers the flags that `rrserve check-sandbox` has too.
func (o *options) registerConfinement(f *pflag.FlagSet) {
	f.StringVar(&o.runAs, "run-as", "", "when started as root, become this `USER[:GROUP]`, names or numbers (default: rrserve where there is such a user, otherwise nobody)")
	f.BoolVar(&o.readAll, "read-all", false, "serve every file, whoever may read it; needs root or the capability CAP_DAC_READ_SEARCH")
	f.StringVar(&o.sandbox, "sandbox", "", "serve only if the sandbox holds: `MODE` required, or best-effort (default: required where the kernel has it)")
}

// defaultCiphers depends on the CPU, because the server's offer decides the
// speed: OpenSSH asks for chacha20-poly1305 first. nil is the choice of sshsrv.
func defaultCiphers() []string {
	aes := cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ ||
		cpu.ARM64.HasAES && cpu.ARM64.HasPMULL ||
		cpu.S390X.HasAESGCM
	if aes {
		return nil
	}
	return sshsrv.SoftwareCiphers
}

// complete is read for a command that has all flags of the server, and checks
// them.
func (o *options) complete(f *pflag.FlagSet) error {
	if err := o.read(f); err != nil {
		return err
	}
	o.listenGiven = f.Changed("listen")
	return o.check()
}

// read sets the flags that were not given from the environment and then from the
// configuration file.
func (o *options) read(f *pflag.FlagSet) error {
	if name, ok := os.LookupEnv(unitVariable); ok && o.unit != "" && !f.Changed("unit") {
		o.unit = name
	}
	if o.unit != "" {
		var err error
		if o.unitFile, o.variables, err = unitVariables(unitDirs, o.unit); err != nil {
			return err
		}
	}
	if err := o.fromEnvironment(f, o.lookup); err != nil {
		return err
	}
	return o.fromFile(f)
}

// lookup is os.LookupEnv, and finds what the unit has where there is none.
func (o *options) lookup(name string) (value string, ok bool) {
	if value, ok = os.LookupEnv(name); !ok {
		value, ok = o.variables[name]
	}
	return value, ok
}

// fromEnvironment sets the flags that were not given. Other variables that
// begin with RRSERVE_ are left alone: container platforms make some up.
func (o *options) fromEnvironment(f *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var failed error
	o.inlineName, o.inlineKeys, failed = findVariable(inlineKeysVariable, lookup)
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || failed != nil {
			return
		}
		name, value, err := findVariable(variable(flag), lookup)
		if failed = err; name == "" {
			return
		}
		if err := setFlag(f, flag, value); err != nil {
			failed = configf("%s=%q: %w", name, value, flagError(err))
		}
	})
	return failed
}

// variable is the name in the environment that stands for a flag.
func variable(flag *pflag.Flag) string {
	return "RRSERVE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// fromFile reads the configuration file and sets the flags that were given
// neither on the command line nor in the environment. A subcommand does not have
// all that stand in the file.
func (o *options) fromFile(f *pflag.FlagSet) error {
	o.given = newGiven(o, f)
	return o.fromFileBy(f, func(path string) ([]byte, error) { return readKeyFile(path, writableByOthers) })
}

// fromFileBy is fromFile with another way to read a file.
func (o *options) fromFileBy(f *pflag.FlagSet, read func(path string) ([]byte, error)) error {
	o.flags, o.file = f, new(config.Config)
	path := o.config
	if path == "" {
		if _, err := os.Stat(systemConfigFile); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		path = systemConfigFile
	}
	data, err := read(path)
	if err != nil {
		return configf("configuration %s: %w", path, err)
	}
	file, err := config.Parse(path, data)
	if err != nil {
		return configError{err}
	}
	o.config, o.file = path, file
	for name, values := range file.Given {
		if flag := f.Lookup(name); flag != nil && !flag.Changed {
			for _, value := range values {
				if err := f.Set(name, value); err != nil {
					return configf("%s: %s: %w", path, settingName(name), flagError(err))
				}
			}
		}
	}
	return nil
}

// settingName is the name of a flag in the file.
func settingName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

func setFlag(f *pflag.FlagSet, flag *pflag.Flag, value string) error {
	if flag.Value.Type() != "stringArray" {
		return f.Set(flag.Name, value)
	}
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := f.Set(flag.Name, line); err != nil {
			return err
		}
	}
	return nil
}

// check finds what is wrong with the command line alone.
func (o *options) check() error {
	keys := o.givenKeys()
	if o.root == "" && len(keys) == 0 && o.keysDir == "" {
		return usagef("--root DIR is missing: the directory to serve")
	}
	if len(keys) == 0 && strings.TrimSpace(o.inlineKeys) == "" && o.keysDir == "" {
		return usagef("--authorized-key KEY is missing: a file of public keys, or a key itself")
	}
	if slices.Contains(keys, "") {
		return usagef("--authorized-key is empty: it takes a file of public keys, or a key itself")
	}
	if o.metricsListen != "" {
		if err := checkAddress("--metrics-listen", o.metricsListen); err != nil {
			return err
		}
	}
	if err := checkAddress("--listen", o.listen); err != nil {
		return err
	}
	if err := sshsrv.CheckCiphers(o.ciphers); err != nil {
		return usagef("--ciphers: %w", err)
	}
	if o.ciphers != nil && len(o.ciphers) == 0 {
		return usagef("--ciphers is empty")
	}
	if o.maxSessions < 1 {
		return usagef("--max-sessions %d: allowed is 1 and more", o.maxSessions)
	}
	if o.maxPerKey < 1 {
		return usagef("--max-sessions-per-key %d: allowed is 1 and more", o.maxPerKey)
	}
	var err error
	if o.startups, err = sshsrv.ParseStartups(o.maxStartups); err != nil {
		return usagef("--max-startups: %w", err)
	}
	if len(o.proxyFrom) > 0 {
		if o.proxies, err = sshsrv.ParseAddressList(strings.Join(o.proxyFrom, ",")); err != nil {
			return usagef("--proxy-protocol-from: %w", err)
		}
	}
	if o.loginGrace <= 0 {
		return usagef("--login-grace-time %v: allowed is more than 0s", o.loginGrace)
	}
	if o.idleTimeout < time.Second {
		return usagef("--idle-timeout %v: allowed is 1s and more", o.idleTimeout)
	}
	if o.drainTime <= 0 {
		return usagef("--drain-time %v: allowed is more than 0s", o.drainTime)
	}
	if !o.readOnly {
		return usagef("--read-only=false: rrserve cannot write")
	}
	if err := o.checkConfinement(); err != nil {
		return err
	}
	return o.checkLog()
}

func (o *options) checkLog() error {
	if o.logFormat != "text" && o.logFormat != "json" {
		return usagef("--log-format %q: allowed are text and json", o.logFormat)
	}
	if err := o.level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return usagef("--log-level %q: allowed are debug, info, warn and error", o.logLevel)
	}
	return nil
}

func (o *options) checkConfinement() error {
	if o.sandbox != "" && o.sandbox != sandboxRequired && o.sandbox != sandboxBestEffort {
		return usagef("--sandbox %q: allowed are %s and %s", o.sandbox, sandboxRequired, sandboxBestEffort)
	}
	return nil
}
