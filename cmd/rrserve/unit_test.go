package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnitVariables(t *testing.T) {
	packaged, err := os.ReadFile("../../packaging/systemd/rrserve.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files map[string]string // etc/... comes before lib/...
		want  map[string]string
		err   string
	}{
		{name: "no unit", files: map[string]string{"lib/other.service": "[Service]\nEnvironment=RRSERVE_ROOT=/x\n"}},
		{
			name:  "that of the packages, with a directory, and every file",
			files: map[string]string{"lib/rrserve.service": string(packaged), "etc/rrserve.service.d/read-all.conf": "[Service]\nEnvironment=RRSERVE_READ_ALL=true\n"},
			want:  map[string]string{"RRSERVE_AUTHORIZED_KEY": "/etc/rrserve/authorized_keys", "RRSERVE_STATE_DIR": "/var/lib/rrserve", "RRSERVE_READ_ALL": "true", "STATE_DIRECTORY": "/var/lib/rrserve", "LOGS_DIRECTORY": "/var/log/rrserve"},
		},
		{
			name: "the later wins, an empty one takes back, a hidden one does not count",
			files: map[string]string{
				"lib/rrserve.service":          "[Service]\nEnvironment=RRSERVE_A=1\nEnvironment=RRSERVE_B=1\nUser=x\n",
				"lib/rrserve.service.d/b.conf": "[Service]\nEnvironment=RRSERVE_HIDDEN=1\n",
				"etc/rrserve.service.d/b.conf": "[Service]\nEnvironment=RRSERVE_B=3\nUser=pi\n",
				"lib/rrserve.service.d/a.conf": "[Service]\nEnvironment=\nEnvironment=RRSERVE_B=2\n",
			},
			want: map[string]string{"RRSERVE_B": "3", "RRSERVE_RUN_AS": "pi"},
		},
		{
			name: "credentials",
			files: map[string]string{
				"lib/rrserve.service":          "[Service]\nEnvironment=RRSERVE_A=1\n",
				"etc/rrserve.service.d/a.conf": "[Service]\nLoadCredential=authorized_keys:/etc/x\nUnsetEnvironment=RRSERVE_A\n",
			},
			want: map[string]string{"CREDENTIALS_DIRECTORY": "/run/credentials/rrserve.service"},
		},
		{
			name:  "directories",
			files: map[string]string{"lib/rrserve.service": "[Service]\nCacheDirectory=a:b c\nStateDirectory=a\nStateDirectory=\n"},
			want:  map[string]string{"CACHE_DIRECTORY": "/var/cache/a:/var/cache/c"},
		},
		{
			name:  "the first directory's unit",
			files: map[string]string{"lib/rrserve.service": "[Service]\nEnvironment=RRSERVE_A=lib\n", "etc/rrserve.service": "[Service]\nEnvironment=RRSERVE_A=etc\n"},
			want:  map[string]string{"RRSERVE_A": "etc"},
		},
		{
			name: "a file, which wins",
			files: map[string]string{
				"lib/rrserve.service": "[Service]\nEnvironmentFile=-HERE/lost\nEnvironmentFile=HERE/env\nEnvironment=RRSERVE_ROOT=/x RRSERVE_RUN_AS=y\nUser=pi\n",
				"env":                 "RRSERVE_ROOT=/srv\nPATH=/bin\n",
			},
			want: map[string]string{"RRSERVE_ROOT": "/srv", "RRSERVE_RUN_AS": "y"},
		},
		{
			name:  "a file that is missing",
			files: map[string]string{"lib/rrserve.service": "[Service]\nEnvironmentFile=HERE/lost\n"},
			err:   "rrserve.service: EnvironmentFile=HERE/lost: no such file or directory",
		},
		{
			name:  "a quote that is not closed",
			files: map[string]string{"lib/rrserve.service": "[Service]\nEnvironment=\"RRSERVE_A=1\n"},
			err:   `unit HERE/lib/rrserve.service: Environment="RRSERVE_A=1: a quote " is not closed`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "HERE", dir)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			file, got, err := unitVariables([]string{dir + "/etc", dir + "/lib"}, serviceUnit)
			text := ""
			if err != nil {
				text = strings.ReplaceAll(err.Error(), dir, "HERE")
			}
			if text != c.err {
				t.Fatalf("error %q, want %q", text, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (file == "") != (got == nil) {
				t.Errorf("unit %q, variables %v", file, got)
			}
		})
	}
}

// A directory that systemd makes at the start is missing before the first one.
func TestUnitMakes(t *testing.T) {
	there := t.TempDir()
	o := options{variables: map[string]string{"STATE_DIRECTORY": there, "LOGS_DIRECTORY": there + "/a:" + there + "/b"}}
	for dir, want := range map[string]bool{there + "/b": true, there + "/c": false, there: false} {
		if got := o.unitMakes(dir); got != want {
			t.Errorf("%s: %v, want %v", dir, got, want)
		}
	}
}
