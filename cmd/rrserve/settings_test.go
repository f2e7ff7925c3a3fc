package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"rrserve/internal/config"
)

// The configuration file has every flag but the one that names it.
func TestEveryFlagIsASetting(t *testing.T) {
	var o options
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(f)
	var flags []string
	f.VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			flags = append(flags, f.Name)
		}
	})
	names := new(config.Settings).Names()
	slices.Sort(flags)
	slices.Sort(names)
	if diff := cmp.Diff(flags, names); diff != "" {
		t.Errorf("(-flags +settings):\n%s", diff)
	}
}

// What takes a restart is called as it stands in the file.
func TestFixedAreSettings(t *testing.T) {
	names := new(config.Settings).Names()
	for _, name := range fixed {
		if flag := strings.ReplaceAll(name, "_", "-"); settingName(flag) != name || !slices.Contains(names, flag) {
			t.Errorf("%s is none", name)
		}
	}
}
