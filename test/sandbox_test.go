package test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// harmless are the system calls of a server that serves: they read, and they
// write to what is open. None takes a flag by which it would do more, but those
// that opensToWrite looks at.
var harmless = strings.Fields(`
	read write readv writev pread64 pwrite64 fdatasync lseek close accept4 shutdown getsockname getpeername getsockopt setsockopt
	epoll_pwait epoll_ctl fcntl
	openat openat2 statx newfstatat fstat readlinkat faccessat getdents64 statfs fstatfs
	getxattr lgetxattr listxattr llistxattr getxattrat listxattrat
	futex nanosleep clock_nanosleep clock_gettime restart_syscall madvise mmap munmap sched_yield sched_getaffinity
	getrandom sigaltstack rt_sigaction rt_sigprocmask rt_sigreturn getpid gettid tgkill clone prctl exit exit_group
`)

var (
	// 123 openat2(AT_FDCWD, ...  or  123 <... openat2 resumed>, which says
	// nothing new
	straceCall   = regexp.MustCompile(`^[0-9]+ +([a-z0-9_]+)\((.*)`)
	opensToWrite = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE|O_APPEND`)
)

// TestSystemCalls looks at all that the server asks of the kernel while it
// serves: attributes, checksums, compression, blocks of older copies, links that
// are followed, a refused push and a probe.
func TestSystemCalls(t *testing.T) {
	src, dst := rrtest.TempDir(t)+"/src", rrtest.ScratchDir(t)+"/dst"
	rrtest.RichTree(t, src)
	trace := filepath.Join(rrtest.TempDir(t), "trace")
	s := rrtest.Rrserve(t, src, rrtest.Under("strace", "-D", "-f", "-qq", "-s", "256", "-o", trace))
	for _, args := range [][]string{
		{"-aHAX", "rr:"},
		{"-aHAXcz", "rr:"},
		{"-aI", "--no-W", "--open-noatime", "rr:"},
		{"-aL", "rr:"},
		{"-a", "--delete", "rr::src/"},
	} {
		if res := rrtest.Run(t, s, dst, args...); res.Code != 0 && res.Code != 23 {
			t.Fatal(res)
		}
	}
	client := rrtest.Client{Server: s}
	if res := client.Run(t, src+"/a.txt", "rr:new"); res.Code == 0 {
		t.Fatal("a push succeeded")
	}
	if res := client.SSH(t, "ssh", rrtest.Host, "df", "-P", "."); res.Code != 0 {
		t.Fatal(res)
	}
	s.Stop()
	seen := tracedHarmless(t, trace, "msg=listening")
	for _, name := range []string{"accept4", "setsockopt", "openat2", "statx", "getdents64", "read", "write"} {
		if seen[name] == 0 {
			t.Errorf("no %s: was the server traced at all? %v", name, seen)
		}
	}
	if n := seen["pwrite64"] + seen["fdatasync"]; n > 0 {
		t.Errorf("%d writes to files", n)
	}
	t.Logf("calls: %v", seen)
}

// tracedHarmless counts the calls behind the line that holds begin, of a server that
// serves from there on. All must be harmless.
func tracedHarmless(t *testing.T, trace, begin string) (seen map[string]int) {
	t.Helper()
	names := map[string]string{ // of calls that are newer than some straces
		fmt.Sprintf("syscall_%#x", unix.SYS_GETXATTRAT):  "getxattrat",
		fmt.Sprintf("syscall_%#x", unix.SYS_LISTXATTRAT): "listxattrat",
	}
	seen = map[string]int{}
	for _, line := range tracedCalls(t, trace, begin) {
		m := straceCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := cmp.Or(names[m[1]], m[1])
		seen[name]++
		if !slices.Contains(harmless, name) {
			t.Errorf("not a call of a server that reads: %s", line)
		}
		if strings.HasPrefix(name, "open") && opensToWrite.MatchString(m[2]) {
			t.Errorf("opened to write: %s", line)
		}
		if name == "clone" && !strings.Contains(m[2], "CLONE_THREAD") {
			t.Errorf("a process: %s", line)
		}
		if name == "setsockopt" && strings.Contains(m[2], " = -1 ") {
			t.Errorf("refused, and nobody was told: %s", line)
		}
		if name == "mmap" && strings.Contains(m[2], "PROT_EXEC") {
			t.Errorf("memory to execute: %s", line)
		}
	}
	return seen
}

// tracedCalls returns the lines after the one that holds begin, up to the server's
// end.
func tracedCalls(t *testing.T, trace, begin string) []string {
	t.Helper()
	for deadline := time.Now().Add(rrtest.StartTimeout); ; time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(trace)
		check(t, err)
		// The tracer writes on after the server has ended.
		_, rest, found := strings.Cut(string(data), begin)
		if found && strings.Contains(rest, "exit_group(") {
			return strings.Split(rest, "\n")[1:]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no whole trace after %d bytes: %s %v", len(data), begin, found)
		}
	}
}

// TestRootReplaced moves the root away and puts another directory in its place:
// the sandbox does not let that be read, and both sides are told.
func TestRootReplaced(t *testing.T) {
	dir := rrtest.TempDir(t)
	for _, name := range []string{"root", "other"} {
		tr := rrtest.NewTree(t, dir+"/"+name)
		tr.File("name", name)
		tr.Done()
	}
	s := rrtest.Rrserve(t, dir+"/root")
	check(t, os.Rename(dir+"/root", dir+"/old"))
	check(t, os.Rename(dir+"/other", dir+"/root"))
	dst := rrtest.TempDir(t)
	res := rrtest.Run(t, s, dst, "-a", "--delete", "rr:")
	if res.Code == 0 || !strings.Contains(res.Stderr, "rrserve: the served directory cannot be opened, see the server's log") {
		t.Error(res)
	}
	s.Stop() // what became of a session is logged after its client has gone
	if !strings.Contains(s.Log(), "if another directory is there than at the start, restart the server") {
		t.Errorf("the log does not say what to do:\n%s", s.Log())
	}
}

// TestRootIsALink serves a link to the newest snapshot, with the sandbox, and
// changes it. The sandbox was told where the link leads, and the keys' directory is
// its name: once no key was let in.
func TestRootIsALink(t *testing.T) {
	dir := rrtest.TempDir(t)
	for _, name := range []string{"monday", "tuesday"} {
		tr := rrtest.NewTree(t, dir+"/snapshots/"+name)
		tr.File("name", name)
		tr.Done()
	}
	check(t, os.Symlink("snapshots/monday", dir+"/current"))
	s := rrtest.Rrserve(t, dir+"/current")
	for _, name := range []string{"monday", "tuesday"} {
		check(t, os.Remove(dir+"/current"))
		check(t, os.Symlink("snapshots/"+name, dir+"/current"))
		dst := rrtest.TempDir(t)
		res := rrtest.Run(t, s, dst, "-a", "rr:")
		if text, _ := os.ReadFile(dst + "/name"); string(text) != name || res.Code != 0 {
			t.Errorf("%s: got %q, %v", name, text, res)
		}
	}
}

// TestBecomesUser starts the server as root with a key in a directory of root's:
// it serves as another user what everybody may read, and goes on knowing the
// key. An ordinary user cannot choose.
func TestBecomesUser(t *testing.T) {
	dir := rrtest.TempDir(t)
	tr := rrtest.NewTree(t, dir+"/src")
	tr.File("public", "public")
	tr.File("secret", "secret")
	tr.Chmod("secret", 0o600)
	tr.Done()
	check(t, os.Mkdir(dir+"/private", 0o700))
	key := dir + "/private/key"
	check(t, rrtest.NewKey(key))
	args := rrtest.WithArgs("--read-all=false", "--authorized-key", key+".pub", "--run-as", "4242:4243")
	if os.Geteuid() != 0 {
		if why := startRefused(t, dir+"/src", args); !strings.Contains(why, "--run-as 4242:4243: only root can become another user") {
			t.Errorf("an ordinary user: %s", why)
		}
		return
	}
	s := rrtest.Rrserve(t, dir+"/src", args)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	check(t, err)
	for _, want := range []string{
		"Uid:\t4242\t4242\t4242\t4242\n", "Gid:\t4243\t4243\t4243\t4243\n", "Groups:\t \n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n",
		"CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	dst := rrtest.TempDir(t)
	res := rrtest.Run(t, s.WithKey(t, key), dst, "-a", "rr:")
	if _, err := os.Stat(dst + "/public"); err != nil || res.Code != 23 || !strings.Contains(res.Stderr, `"/secret": Permission denied`) {
		t.Error(err, res)
	}
	if strings.Contains(s.Log(), "authorized keys cannot be used") {
		t.Errorf("a complaint about keys that are held:\n%s", s.Log())
	}
	// The key is edited, and then replaced.
	check(t, os.WriteFile(key+".pub", []byte("# none\n"), 0o600))
	if res := rrtest.Run(t, s.WithKey(t, key), dst, "-a", "rr:"); !strings.Contains(res.Stderr, "Permission denied (publickey)") {
		t.Error("after the key was taken out:", res)
	}
	other := dir + "/private/other"
	check(t, rrtest.NewKey(other))
	check(t, os.Rename(other+".pub", key+".pub"))
	if res := rrtest.Run(t, s.WithKey(t, other), dst, "-a", "rr:"); !strings.Contains(res.Stderr, "Permission denied (publickey)") {
		t.Error("a file that replaced the keys:", res)
	}
	waitLog(t, s, func(log string) bool {
		return strings.Contains(log, "the file was replaced or removed since the start; restart the server to read the new one")
	})
}

// TestTrustedAttributes pulls attributes that only CAP_SYS_ADMIN shows: with
// --read-all too the server has given that up.
func TestTrustedAttributes(t *testing.T) {
	src, dst := rrtest.TempDir(t)+"/src", rrtest.TempDir(t)
	tr := rrtest.NewTree(t, src)
	tr.File("file", "content")
	tr.Xattr("file", "user.a", "for everybody")
	if os.Geteuid() == 0 {
		tr.Xattr("file", "trusted.a", "for CAP_SYS_ADMIN")
	}
	tr.Done()
	if res := rrtest.Run(t, rrtest.Rrserve(t, src), dst, "-aX", "rr:"); res.Code != 0 || res.Stderr != "" {
		t.Fatal(res)
	}
	list := make([]byte, 100)
	n, err := unix.Listxattr(dst+"/file", list)
	check(t, err)
	if got := string(list[:n]); got != "user.a\x00" {
		t.Errorf("the copy has the attributes %q", got)
	}
}

// TestUnreadableRoot starts the server as root with a root that the user it
// becomes may not read.
func TestUnreadableRoot(t *testing.T) {
	dir := rrtest.TempDir(t)
	check(t, os.Mkdir(dir+"/src", 0o700))
	if os.Geteuid() != 0 {
		check(t, os.Chmod(dir+"/src", 0))
	}
	want := "permission denied"
	if os.Geteuid() == 0 {
		want += ", for the user nobody; --read-all serves every file, --run-as USER as another user"
	}
	if why := startRefused(t, dir+"/src", rrtest.WithArgs("--read-all=false")); !strings.Contains(why, want) {
		t.Errorf("no %q in %s", want, why)
	}
}

// startRefused returns why a server did not start.
func startRefused(t *testing.T, root string, opts ...rrtest.Option) string {
	t.Helper()
	s, err := rrtest.StartRrserve(root, opts...)
	s.Stop()
	if err == nil {
		t.Fatal("the server started")
	}
	return err.Error()
}
