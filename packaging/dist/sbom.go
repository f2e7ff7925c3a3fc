package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"time"
)

// bom is a bill of materials, CycloneDX 1.6.
type bom struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"` // of the commit, so that it is the same each time
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	URL        string     `json:"purl"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// writeSBOM writes what the go command says that the binary is made of.
func (b *binary) writeSBOM(name string) error {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	server := newComponent("application", b.info.Main.Path, b.info.Main.Version)
	server.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	for _, s := range b.info.Settings {
		server.Properties = append(server.Properties, property{"build:" + s.Key, s.Value})
	}
	parts := []component{newComponent("library", "std", strings.TrimPrefix(b.info.GoVersion, "go"))}
	for _, m := range b.info.Deps {
		parts = append(parts, newComponent("library", m.Path, m.Version))
	}
	needs := dependency{Ref: server.Ref}
	for _, c := range parts {
		needs.On = append(needs.On, c.Ref)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	err = enc.Encode(bom{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata:   metadata{Timestamp: b.commit.UTC().Format(time.RFC3339), Component: server},
		Components: parts, Dependencies: []dependency{needs},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(name, buf.Bytes(), 0o644)
}

// newComponent makes a component whose package URL is also the name by which the
// others refer to it.
func newComponent(kind, path, version string) component {
	url := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return component{Type: kind, Ref: url, Name: path, Version: version, URL: url}
}
