package unit

import (
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string          // of the unit, in the order in which they count
		files map[string]string // of EnvironmentFile=
		want  map[string]string
		err   string
	}{
		{
			name: "words, quotes, lines, sections",
			texts: []string{"[Unit]\nEnvironment=A=0\n[Service]\n# Environment=A=1\n;x\n" +
				"Environment=A=2 \"B=a b\" 'C=\"' \\\n  D=100%% E=a\\ b F=\"c d\"e HOME=/root\n"},
			want: map[string]string{"A": "2", "B": "a b", "C": "\"", "D": "100%", "E": "a b", "F": "c de", "HOME": "/root"},
		},
		{
			name:  "the later wins, an empty one takes back",
			texts: []string{"[Service]\nEnvironment=A=1\nEnvironment=B=1\n", "[Service]\nEnvironment=\nEnvironment=B=2\n", "[Service]\nEnvironment=B=3\n"},
			want:  map[string]string{"B": "3"},
		},
		{
			// rrserve check looked for the list of keys in whose place there was a credential.
			name: "taken away again, from a file too",
			texts: []string{
				"[Service]\nUnsetEnvironment=A\nUnsetEnvironment=\nEnvironment=A=1 B=2 C=3\nEnvironmentFile=env\n",
				"[Service]\nUnsetEnvironment=B C=4 D=5\n",
			},
			files: map[string]string{"env": "D=5\n"},
			want:  map[string]string{"A": "1", "C": "3"},
		},
		{
			name:  "a file, which wins",
			texts: []string{"[Service]\nEnvironmentFile=-lost\nEnvironmentFile=env\nEnvironment=A=/x E=y\n"},
			files: map[string]string{"env": "# the directory\nA = /srv/my photos \n\n; keys\nB=\"a\nb\"\nC='\\'\nD=z"},
			want:  map[string]string{"A": "/srv/my photos", "B": "a\nb", "C": "\\", "D": "z", "E": "y"},
		},
		{
			name:  "a file that is missing",
			texts: []string{"[Service]\nEnvironmentFile=lost\n"},
			err:   "EnvironmentFile=lost: file does not exist",
		},
		{
			name:  "no variable",
			texts: []string{"[Service]\nEnvironmentFile=env\n"},
			files: map[string]string{"env": "A /srv\n"},
			err:   `EnvironmentFile=env: "A /srv" is not NAME=VALUE`,
		},
		{
			name:  "a quote that is not closed",
			texts: []string{"[Service]\nEnvironment=\"A=1\n"},
			err:   `Environment="A=1: a quote " is not closed`,
		},
		{
			name:  "and in a file",
			texts: []string{"[Service]\nEnvironmentFile=env\n"},
			files: map[string]string{"env": "A='1\n"},
			err:   `EnvironmentFile=env: a quote ' is not closed`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Settings
			var err error
			for _, text := range c.texts {
				if err == nil {
					err = s.Add(text)
				}
			}
			var got map[string]string
			if err == nil {
				got, err = s.Environment(func(path string) ([]byte, error) {
					if text, ok := c.files[path]; ok {
						return []byte(text), nil
					}
					return nil, fs.ErrNotExist
				})
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.err {
				t.Fatalf("error %q, want %q", text, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		text        string
		user        string
		credentials bool
	}{
		{"[Service]\nUser=x\nUser=pi\n", "pi", false},
		{"[Service]\nUser=pi\nUser=\n", "", false},
		{"[Unit]\nUser=pi\nLoadCredential=a:/x\n", "", false},
		{"[Service]\nLoadCredential=a:/x\n", "", true},
		{"[Service]\nSetCredential=a:x\nSetCredential=\n", "", false},
	} {
		var s Settings
		if err := s.Add(c.text); err != nil || s.User != c.user || s.Credentials != c.credentials {
			t.Errorf("%q: user %q, credentials %t, %v", c.text, s.User, s.Credentials, err)
		}
	}
}
