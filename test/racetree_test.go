package test

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"rrserve/internal/rrtest"
)

// raceTree is DIR/src, which is served, and DIR/outside, which is not and has
// the same names in it. Everybody may read both.
type raceTree struct {
	src, outside string
	secret       string // stands in what is outside: contents, names, and with unseen texts of links and attributes
	sum          string // of a file with the secret, as -c sends it
	inside       string // the content of the files inside, as long as that of the others
}

// unseen is what Landlock does not see: the texts of links and the attributes
// outside.
type unseen bool

func newRaceTree(t *testing.T, unseen unseen) *raceTree {
	dir := rrtest.ScratchDir(t)
	token := "secret-" + hex.EncodeToString(randomBytes(8))
	content := strings.Repeat(token+"\n", 8)
	sum := md5.Sum([]byte(content))
	r := &raceTree{
		src: dir + "/src", outside: dir + "/outside",
		secret: token, sum: string(sum[:]), inside: strings.Repeat("inside.", len(content))[:len(content)],
	}

	src := rrtest.NewTree(t, r.src)
	r.fill(src, r.inside, "f0")
	for _, dir := range raceDirs {
		src.Xattr(dir+"/f0", "user.x", "inside")
	}
	src.File("g/.rsync-filter", "- none\n")
	src.File("list", "d/f0\nd/sub\np/q/r\nf\n")
	src.File("e~/f0", r.inside)
	src.File("keep", r.inside)
	src.File("h", r.inside)
	src.File("k/f0", r.inside)
	src.Symlink("f~", "../outside/f")
	src.Symlink("d~", "../outside/d")
	src.Symlink("d/f0~", "../../outside/d/f0")
	src.Symlink("p~", r.outside+"/p")
	src.Symlink("p/q~", "../../outside/p/q")
	src.Symlink("p/q/r~", r.outside+"/p/q/r")
	src.Symlink("e~/sub", "../../outside/e/sub")
	src.Symlink("c~", "hop/1")
	src.Symlink("hop/1", "2")
	src.Symlink("hop/2", r.outside+"/c")
	src.Symlink("g/.rsync-filter~", "../../outside/rules")
	src.Symlink("list~", "../outside/list")
	src.Symlink("winding", "p/q/../../d/sub/../../c/sub")
	src.Symlink("absolute", r.src+"/p/q/r")
	src.Done()

	outside := rrtest.NewTree(t, r.outside)
	link := "f0"
	if unseen {
		link = token
	}
	r.fill(outside, content, link)
	outside.File("rules", token+"\n")
	outside.File("list", token+"\n")
	for _, name := range raceDirs {
		outside.File(name+"/"+token, content)
		if unseen {
			outside.Xattr(name+"/f0", "user.x", token)
		}
	}
	outside.Done()
	return r
}

var raceDirs = []string{"d", "d/sub", "p", "p/q", "p/q/r", "e", "e/sub", "c", "c/sub"}

// fill makes what both trees have.
func (r *raceTree) fill(tr *rrtest.Tree, content, link string) {
	for _, dir := range raceDirs {
		for i := range 4 {
			tr.File(fmt.Sprintf("%s/f%d", dir, i), content)
		}
		tr.Symlink(dir+"/l", link)
	}
	tr.File("f", content)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// leak says where in what a client got there is something of outside, "" if
// nowhere: in dir, which holds its copy and all that was sent to it, and in what
// it printed.
func (r *raceTree) leak(dir string, res rrtest.Result) (where string, err error) {
	if r.isIn(res.Stdout + res.Stderr) {
		return "a message", nil
	}
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var data []byte
		if d.Type().IsRegular() {
			data, err = os.ReadFile(name)
		}
		if r.isIn(name + "\n" + string(data)) {
			where = strings.ReplaceAll(name, r.secret, "SECRET")
		}
		return err
	})
	return where, err
}

func (r *raceTree) isIn(s string) bool {
	return strings.Contains(s, r.secret) || strings.Contains(s, r.sum)
}

// flipper changes what names of a raceTree mean, as fast as it can.
type flipper struct {
	flips atomic.Int64
	stop  atomic.Bool
	wg    sync.WaitGroup
	dirs  []int
}

// flip starts flipping. Directories are held by their handles, since those
// above are being flipped too; each name is flipped by one goroutine.
func (r *raceTree) flip(t *testing.T) *flipper {
	f := &flipper{}
	open := func(name string) int {
		fd, err := unix.Open(r.src+"/"+name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		check(t, err)
		f.dirs = append(f.dirs, fd)
		return fd
	}
	top, d, p, q, g := open("."), open("d"), open("p"), open("p/q"), open("g")
	f.run(t,
		func() error { return exchange(top, "f", "f~") },
		func() error { return exchange(top, "d", "d~") },
		func() error { return exchange(top, "p", "p~") },
		func() error { return exchange(top, "e", "e~") }, // two directories, one with a link in it
		func() error { return exchange(top, "c", "c~") },
		func() error { return exchange(top, "list", "list~") },
	)
	f.run(t,
		func() error { return exchange(d, "f0", "f0~") },
		func() error { return exchange(p, "q", "q~") },
		func() error { return exchange(q, "r", "r~") },
		func() error { return exchange(g, ".rsync-filter", ".rsync-filter~") },
	)
	f.run(t,
		func() error { return replace(top, "h", unix.Symlinkat("../outside/f", top, "h#")) },
		func() error { return replace(top, "h", unix.Linkat(top, "keep", top, "h#", 0)) },
		func() error { return unix.Renameat(top, "k", top, "k#") },
		func() error { return unix.Symlinkat("../outside/d", top, "k") },
		func() error { return unix.Unlinkat(top, "k", 0) },
		func() error { return unix.Renameat(top, "k#", top, "k") },
	)
	return f
}

// run takes the steps in turn until the flipper ends.
func (f *flipper) run(t *testing.T, steps ...func() error) {
	f.wg.Go(func() {
		for !f.stop.Load() {
			for i, step := range steps {
				if err := step(); err != nil {
					t.Errorf("flip %d: %v", i, err)
					return
				}
			}
			f.flips.Add(int64(len(steps)))
		}
	})
}

// end waits for at least so many flips, unless the test has failed, and returns
// how many there were.
func (f *flipper) end(t *testing.T, atLeast int64) int64 {
	for f.flips.Load() < atLeast && !t.Failed() {
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	f.stop.Store(true)
	f.wg.Wait()
	for _, fd := range f.dirs {
		unix.Close(fd)
	}
	return f.flips.Load()
}

// exchange swaps two names at once.
func exchange(dir int, a, b string) error {
	return unix.Renameat2(dir, a, dir, b, unix.RENAME_EXCHANGE)
}

// replace puts what was made as name# in the place of name.
func replace(dir int, name string, made error) error {
	if made != nil {
		return made
	}
	return unix.Renameat(dir, name+"#", dir, name)
}
