package probe

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"rrserve/internal/vfs"
	"rrserve/internal/vfs/vfstest"
)

func tree() *vfstest.Memory {
	m := vfstest.NewMemory()
	dir := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755}}
	file := vfstest.Node{Info: vfs.Info{Mode: vfs.ModeRegular | 0o644}}
	link := func(to string) vfstest.Node {
		return vfstest.Node{Info: vfs.Info{Mode: vfs.ModeSymlink | 0o777}, Target: to}
	}
	m.Add("dir", dir)
	m.Add("dir/file", file)
	m.Add("a b", file)
	m.Add("one.txt", file)
	m.Add("two.txt", file)
	m.Add("todir", link("dir"))
	m.Add("tofile", link("dir/file"))
	m.Add("dangling", link("nowhere"))
	m.Add("out", link("../.."))
	m.Add("other", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir | 0o755, Dev: 77}})
	return m
}

func space() (Space, error) {
	return Space{Total: 1000 << 10, Free: 400 << 10, Available: 300<<10 + 1023}, nil
}

func TestRun(t *testing.T) {
	const rsync = "/usr/bin/rsync\n"
	for command, want := range map[string]Answer{
		"true":                    {},
		":":                       {},
		" true ":                  {},
		"exit":                    {},
		"exit 0":                  {},
		"exit 3":                  {Status: 3},
		"exit 255":                {Status: 255},
		"echo":                    {Stdout: "\n"},
		"echo ok":                 {Stdout: "ok\n"},
		`echo  a 'b  c' "d"\ e`:   {Stdout: "a b  c d e\n"},
		"echo -n ok":              {Stdout: "ok"},
		"echo -e ok":              {Stdout: "-e ok\n"},
		"echo *":                  {Stdout: "*\n"},
		"pwd":                     {Stdout: "/\n"},
		"which rsync":             {Stdout: rsync},
		"command -v rsync":        {Stdout: rsync},
		"test -d dir":             {},
		"test -d /dir":            {},
		"test -d ~/dir/":          {},
		"test -d ~":               {},
		"test -d .":               {},
		"test -d d*":              {Status: 2, Stderr: "rrserve: the word stands for 2 names\n"},
		"test -d di*":             {},
		"test -d 'di*'":           {Status: 1},
		"test -d todir":           {},
		"test -d one.txt":         {Status: 1},
		"test -d none":            {Status: 1},
		"test -d ''":              {Status: 1},
		"test -d other":           {},
		"test -e dir/file":        {},
		"test -e dir/file/":       {Status: 1},
		"test -e tofile":          {},
		"test -e tofile/.":        {Status: 1},
		"test -e dangling":        {Status: 1},
		"test -e out":             {Status: 1},
		"test -e 'a b'":           {},
		`test -e a\ b`:            {},
		"test -f one.txt":         {},
		"test -f dir":             {Status: 1},
		"test -f tofile":          {},
		"test -L tofile":          {},
		"test -L dangling":        {},
		"test -L todir/":          {Status: 1},
		"test -L dir":             {Status: 1},
		"test -e {one,two}.txt":   {Status: 2, Stderr: "rrserve: the word stands for 2 names\n"},
		"test -e ../x":            {Status: 2, Stderr: "rrserve: \"..\" is not allowed in a path: ../x [E-PATH]\n"},
		"[ -d dir ]":              {},
		"[ -f dir ]":              {Status: 1},
		"[ -L todir ]":            {},
		"df -P .":                 {Stdout: "Filesystem 1024-blocks Used Available Capacity Mounted on\nrrserve 1000 600 300 67% /\n"},
		"df -P none":              {Status: 1, Stderr: "df: none: no such file or directory\n"},
		"df -P other":             {Status: 1, Stderr: "df: other: not on the file system of the root, of which alone the size is told\n"},
		"rsync --version":         {Stdout: versionText + "\n"},
		"rsync -V":                {Stdout: versionText + "\n"},
		"/opt/bin/rsync -V":       {Stdout: versionText + "\n"},
		"'/opt/bin/rsync'   '-V'": {Stdout: versionText + "\n"},
	} {
		got, ok := System{Tree: tree(), Space: space}.Run(command)
		if got != want || !ok {
			t.Errorf("%s: %+v, %t, want %+v", command, got, ok, want)
		}
	}
}

// The list is closed.
func TestNotAnswered(t *testing.T) {
	for _, command := range []string{
		"", " ", "true x", ": x", "exit 256", "exit -1", "exit x", "exit 1 2", "ls", "cat x", "sh -c true", "false", "hostname", "id",
		"test", "test -d", "test -r x", "test ! -d x", "test -d a -o -d b", "[ -d dir", "[ -d dir ] x", "[ ]", "]", "[[ -d dir ]]",
		"which sh", "which rsync sh", "command -v sh", "command rsync", "command -v", "type rsync", "pwd -P", "uname -r", "uname -m",
		"df", "df .", "df -h .", "df -P", "df -P a b", "rsync", "rsync --version x", "rsync --help", "xrsync --version", "ssh --version",
		"true; id", "true && id", "echo $HOME", "echo `id`", "echo ok > x", "echo 'open", "test -d $(id)", "rsync --server --sender -r . x",
		"TRUE", "/bin/true", "sudo true",
	} {
		if a, ok := (System{Tree: tree(), Space: space}).Run(command); ok {
			t.Errorf("%s: answered with %+v", command, a)
		}
	}
}

func TestDf(t *testing.T) {
	if a, ok := (System{Tree: tree()}).Run("df -P ."); ok {
		t.Errorf("without a source of numbers: %+v", a)
	}
	failing := System{Tree: tree(), Space: func() (Space, error) { return Space{}, errors.ErrUnsupported }}
	if a, ok := failing.Run("df -P ."); !ok || a.Status != 1 || a.Stdout != "" || !strings.HasPrefix(a.Stderr, "df: .: ") {
		t.Errorf("without numbers: %+v, %t", a, ok)
	}
	for want, s := range map[string]Space{
		"rrserve 0 0 0 0% /\n":       {},
		"rrserve 1 0 0 0% /\n":       {Total: 1024, Free: 2048},
		"rrserve 4 4 0 100% /\n":     {Total: 4096},
		"rrserve 4 1 3 25% /\n":      {Total: 4096, Free: 3072, Available: 3072},
		"rrserve 1001 1 1000 1% /\n": {Total: 1001 << 10, Free: 1000 << 10, Available: 1000 << 10},
	} {
		if _, got, _ := strings.Cut(dfText(s), "\n"); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

func TestUname(t *testing.T) {
	system := map[string]string{"linux": "Linux", "darwin": "Darwin", "freebsd": "FreeBSD"}[runtime.GOOS]
	for command, want := range map[string]string{"uname": system + "\n", "uname -s": system + "\n"} {
		if a, ok := (System{}).Run(command); !ok || a != (Answer{Stdout: want}) || system == "" {
			t.Errorf("%s: %+v, want %q", command, a, want)
		}
	}
	a, ok := System{}.Run("uname -a")
	if fields := strings.Fields(a.Stdout); !ok || len(fields) != 5 || fields[0] != system {
		t.Errorf("uname -a: %+v", a)
	}
}

// The first line is what tools read the version from.
func TestVersion(t *testing.T) {
	first, second, _ := strings.Cut(versionText, "\n")
	if first != "rsync  version 3.5.0  protocol version 32" || !strings.Contains(second, "This is rrserve") {
		t.Errorf("%q", versionText)
	}
}

// A file that cannot be looked at is one that is not there.
func TestDenied(t *testing.T) {
	m := tree()
	m.Add("denied", vfstest.Node{Info: vfs.Info{Mode: vfs.ModeDir}}).Errno = vfs.EACCES
	_, err := m.Lstat(vfstest.P(t, "denied/x"))
	if a, ok := (System{Tree: m}).Run("test -e denied/x"); !ok || a.Status != 1 || err == nil {
		t.Errorf("%+v, %t; %v", a, ok, err)
	}
}
