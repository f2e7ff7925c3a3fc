package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)`)

// licences are the terms of what is in the binary besides our own code, which
// want to be passed on with it.
func (b *binary) licences() ([]byte, error) {
	goroot, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	if err := appendLicences(&all, "Go "+b.info.GoVersion, goroot); err != nil {
		return nil, err
	}
	for _, m := range b.info.Deps {
		dir, err := output("go", "list", "-m", "-f", "{{.Dir}}", m.Path)
		if err != nil {
			return nil, err
		}
		if err := appendLicences(&all, m.Path+" "+m.Version, dir); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}

// appendLicences appends the files of terms at the top of a module.
func appendLicences(to *bytes.Buffer, module, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenceName.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(to, "==== %s: %s\n\n%s\n", module, e.Name(), text)
		found = true
	}
	if !found {
		return fmt.Errorf("%s: no licence in %s", module, dir)
	}
	return nil
}

// output is what a command prints, without the end of its line.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
