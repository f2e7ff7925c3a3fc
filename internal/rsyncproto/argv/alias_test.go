package argv

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// With rrsync -absolute a client may write the name that the root has on the
// server, and need not.
func TestAlias(t *testing.T) {
	dir := makeTree(t)
	for _, tt := range []struct {
		arg  string
		want string
	}{
		{"/srv/data/a/x", "/a/x"},
		{"/srv/data", "/"},
		{"/srv/data/", "/"},
		{"'/srv/data'/a/x", "/a/x"},
		{"/srv/database", "/srv/database"},
		{"/srv/dat[a]/a", "/srv/dat[a]/a"},
		{"a/x", "a/x"},
		{"/srv/data/'*'", "/*"},
		{"srv/data/a", "srv/data/a"},
	} {
		words, err := Split(tt.arg)
		if err != nil {
			t.Fatal(err)
		}
		for _, secluded := range []bool{false, true} {
			args := words
			if secluded {
				args = []Word{{text: words[0].text}}
			}
			p := &Pull{Args: args, Alias: "/srv/data", Secluded: secluded}
			got, err := p.Expand(dirTree(dir))
			if secluded && tt.want == "/*" {
				continue // a wildcard there, whose names are the other tests' business
			}
			if diff := cmp.Diff([]string{tt.want}, got); err != nil || diff != "" {
				t.Errorf("%s, secluded %v: %v (-want +got):\n%s", tt.arg, secluded, err, diff)
			}
		}
	}
	p := &Pull{Args: []Word{{text: "/srv/data/a*"}}, Alias: "/srv/data", Secluded: true}
	got, err := p.Expand(dirTree(dir))
	if err != nil || len(got) < 2 {
		t.Errorf("a wildcard behind the alias: %q, %v", got, err)
	}
	p = &Pull{Args: []Word{{text: "/srv/data/../x"}}, Alias: "/srv/data"}
	if got, err := p.Expand(dirTree(dir)); err == nil {
		t.Errorf("\"..\" behind the alias: %q", got)
	}
}
