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
			want:  map[string]string{"RRSERVE_AUTHORIZED_KEY": "/etc/rrserve/authorized_keys", "RRSERVE_STATE_DIR": "/var/lib/rrserve", "RRSERVE_READ_ALL": "true"},
		},
		{
			name: "words, quotes, lines, sections",
			files: map[string]string{"lib/rrserve.service": "[Unit]\nEnvironment=RRSERVE_A=0\n[Service]\n# Environment=RRSERVE_A=1\n;x\n" +
				"Environment=RRSERVE_A=2 \"RRSERVE_B=a b\" 'RRSERVE_C=\"' \\\n  RRSERVE_D=100%% RRSERVE_E=a\\ b RRSERVE_F=\"c d\"e HOME=/root\n"},
			want: map[string]string{"RRSERVE_A": "2", "RRSERVE_B": "a b", "RRSERVE_C": "\"", "RRSERVE_D": "100%", "RRSERVE_E": "a b", "RRSERVE_F": "c de"},
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
			// rrserve check looked for the list of keys in whose place there was a credential.
			name: "taken away again, from a file too",
			files: map[string]string{
				"lib/rrserve.service":          "[Service]\nUnsetEnvironment=RRSERVE_A\nUnsetEnvironment=\nEnvironment=RRSERVE_A=1 RRSERVE_B=2 RRSERVE_C=3\nEnvironmentFile=HERE/env\n",
				"etc/rrserve.service.d/a.conf": "[Service]\nUnsetEnvironment=RRSERVE_B RRSERVE_C=4 RRSERVE_D=5\n",
				"env":                          "RRSERVE_D=5\n",
			},
			want: map[string]string{"RRSERVE_A": "1", "RRSERVE_C": "3"},
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
			name:  "the first directory's unit",
			files: map[string]string{"lib/rrserve.service": "[Service]\nEnvironment=RRSERVE_A=lib\n", "etc/rrserve.service": "[Service]\nEnvironment=RRSERVE_A=etc\n"},
			want:  map[string]string{"RRSERVE_A": "etc"},
		},
		{
			name: "a file, which wins",
			files: map[string]string{
				"lib/rrserve.service": "[Service]\nEnvironmentFile=-HERE/lost\nEnvironmentFile=HERE/env\nEnvironment=RRSERVE_ROOT=/x RRSERVE_RUN_AS=y\nUser=pi\n",
				"env":                 "# the directory\nRRSERVE_ROOT = /srv/my photos \n\n; keys\nRRSERVE_AUTHORIZED_KEY=\"a\nb\"\nRRSERVE_USER='\\'\nPATH=/bin\nRRSERVE_LAST=z",
			},
			want: map[string]string{"RRSERVE_ROOT": "/srv/my photos", "RRSERVE_AUTHORIZED_KEY": "a\nb", "RRSERVE_USER": "\\", "RRSERVE_LAST": "z", "RRSERVE_RUN_AS": "y"},
		},
		{
			name:  "a file that is missing",
			files: map[string]string{"lib/rrserve.service": "[Service]\nEnvironmentFile=HERE/lost\n"},
			err:   "rrserve.service: EnvironmentFile=HERE/lost: no such file or directory",
		},
		{
			name:  "no variable",
			files: map[string]string{"lib/rrserve.service": "[Service]\nEnvironmentFile=HERE/env\n", "env": "RRSERVE_ROOT /srv\n"},
			err:   `rrserve.service: EnvironmentFile=HERE/env: "RRSERVE_ROOT /srv" is not NAME=VALUE`,
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
