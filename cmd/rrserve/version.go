package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set at release with -ldflags "-X main.version=..."; without it the
// module's version in the build information is used.
var version string

// buildInfo is what `rrserve version --json` prints.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Build    string `json:"build,omitempty"` // settings of go build, separated by blanks
}

func readBuildInfo() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs", "GOOS", "GOARCH":
		default:
			b.Build = strings.TrimSpace(b.Build + " " + s.Key + "=" + s.Value)
		}
	}
	return b
}

// print writes the version as one line, and how it was built below.
func (b *buildInfo) print(w io.Writer) error {
	text := fmt.Sprintf("rrserve %s %s %s/%s\n", b.Version, b.Go, b.OS, b.Arch)
	if b.Commit != "" {
		text += "commit " + b.Commit + " " + b.Time
		if b.Modified {
			text += ", and changes that were not committed"
		}
		text += "\n"
	}
	if b.Build != "" {
		text += "built with " + b.Build + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version, and how it was built",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := readBuildInfo()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			return b.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
