// Command dist builds what a release consists of, for each platform an archive
// and a bill of materials:
//
//	go run ./packaging/dist DIR COMPLETIONS GOOS/GOARCH...
//
// The archives appear in DIR, the binaries alone in DIR/GOOS-GOARCH, and COMPLETIONS
// holds the scripts for shells. The same commit and the same Go give the same bytes,
// wherever the clone lies: names, times and versions are taken from what the go
// command has noted in the binary, and nothing from the machine.
package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// armVersion is the oldest ARM of 32 bits that is built for.
const armVersion = "7"

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: go run ./packaging/dist DIR COMPLETIONS GOOS/GOARCH...")
		os.Exit(2)
	}
	for _, platform := range os.Args[3:] {
		if err := release(os.Args[1], os.Args[2], platform); err != nil {
			fmt.Fprintf(os.Stderr, "dist: %s: %v\n", platform, err)
			os.Exit(1)
		}
	}
}

// release builds for one platform.
func release(dir, completions, platform string) error {
	b, err := build(dir, platform)
	if err != nil {
		return err
	}
	licences, err := b.licences()
	if err != nil {
		return err
	}
	name := filepath.Join(dir, b.name())
	if err := b.writeArchive(name+".tar.gz", completions, licences); err != nil {
		return err
	}
	if err := b.writeSBOM(name + ".cdx.json"); err != nil {
		return err
	}
	fmt.Println(name + ".tar.gz")
	return nil
}

// binary is one that was built, and what the go command has noted in it.
type binary struct {
	path     string
	platform string // as in names of files: linux-armv7
	info     *debug.BuildInfo
	commit   time.Time
}

// build compiles the server for a platform.
func build(dir, platform string) (*binary, error) {
	goos, arch, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, errors.New("not a platform; allowed is GOOS/GOARCH")
	}
	b := &binary{platform: goos + "-" + arch}
	if arch == "arm" {
		b.platform += "v" + armVersion
	}
	b.path = filepath.Join(dir, b.platform, "rrserve")
	if goos == "windows" {
		b.path += ".exe"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", b.path, "./cmd/rrserve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+goos, "GOARCH="+arch, "GOARM="+armVersion)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return b, b.read()
}

// read reads what is noted in the binary.
func (b *binary) read() (err error) {
	if b.info, err = buildinfo.ReadFile(b.path); err != nil {
		return err
	}
	if !strings.HasPrefix(b.info.Main.Version, "v") {
		return fmt.Errorf("the version is %q; allowed is one of a commit", b.info.Main.Version)
	}
	b.commit, err = time.Parse(time.RFC3339, b.setting("vcs.time"))
	return err
}

func (b *binary) setting(key string) string {
	for _, s := range b.info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func (b *binary) version() string { return strings.TrimPrefix(b.info.Main.Version, "v") }

// name is what the release for the platform is called.
func (b *binary) name() string { return "rrserve-" + b.version() + "-" + b.platform }
