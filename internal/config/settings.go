package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Settings are the flags in the file. A nil field is not in it.
type Settings struct {
	Root              *string  `toml:"root"`
	AuthorizedKey     []string `toml:"authorized_key"`
	KeysDir           *string  `toml:"keys_dir"`
	Listen            *string  `toml:"listen"`
	HostKey           []string `toml:"host_key"`
	StateDir          *string  `toml:"state_dir"`
	User              *string  `toml:"user"`
	Ciphers           []string `toml:"ciphers"`
	MaxSessions       *int     `toml:"max_sessions"`
	MaxSessionsPerKey *int     `toml:"max_sessions_per_key"`
	MaxStartups       *string  `toml:"max_startups"`
	LoginGraceTime    *string  `toml:"login_grace_time"`
	NoPenalties       *bool    `toml:"no_penalties"`
	ProxyProtocolFrom []string `toml:"proxy_protocol_from"`
	IdleTimeout       *string  `toml:"idle_timeout"`
	DrainTime         *string  `toml:"drain_time"`
	MungeLinks        *bool    `toml:"munge_links"`
	Absolute          *bool    `toml:"absolute"`
	ChecksumCache     *string  `toml:"checksum_cache"`
	ReadOnly          *bool    `toml:"read_only"`
	NoProbes          *bool    `toml:"no_probes"`
	RunAs             *string  `toml:"run_as"`
	ReadAll           *bool    `toml:"read_all"`
	Sandbox           *string  `toml:"sandbox"`
	MetricsListen     *string  `toml:"metrics_listen"`
	AuditLog          *string  `toml:"audit_log"`
	LogFormat         *string  `toml:"log_format"`
	LogLevel          *string  `toml:"log_level"`
}

// Names returns the names of all settings as flags have them, with "-" for "_".
func (s *Settings) Names() []string {
	var names []string
	t := reflect.TypeFor[Settings]()
	for i := range t.NumField() {
		f := t.Field(i)
		names = append(names, flagName(f))
	}
	return names
}

// Given calls yield with each setting that is in the file, as the flag that it
// stands for and the words that this flag would be given.
func (s *Settings) Given(yield func(flag string, values []string) bool) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsNil() {
			continue
		}
		values, ok := f.Interface().([]string)
		if !ok {
			values = []string{fmt.Sprint(f.Elem().Interface())}
		}
		if !yield(flagName(v.Type().Field(i)), values) {
			return
		}
	}
}

func flagName(f reflect.StructField) string {
	return strings.ReplaceAll(f.Tag.Get("toml"), "_", "-")
}
