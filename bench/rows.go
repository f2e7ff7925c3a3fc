package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"rrserve/internal/rrtest"
)

// row is one line of the table: a tree to serve, and what a client does with
// it.
type row struct {
	name string
	// make builds the tree to serve in src and, for clients that have an old
	// copy, that copy in old.
	make func(src, old string) error
	// hasOld says that each run begins with a copy of old as its destination.
	hasOld bool
	// same says that runs do not change the destination, so that all runs and
	// clients share one.
	same bool
	// clients run at once; 0 is 1.
	clients int
	// times is how often a client runs in turn, to be measurable; the figures
	// are divided by it; 0 is 1.
	times int
	// delay is how long the storage takes for each opening and each read.
	delay time.Duration
	// files is how many there are, of rows that differ in nothing else; 0 for
	// others.
	files int
	args  []string
	// sumCache says that rrserve remembers checksums, from a run before those that
	// are measured.
	sumCache bool
}

func rows(scale float64) []row {
	n := func(full int) int { return max(1, int(float64(full)*scale)) }
	archive := []string{"-a"}
	return []row{
		{
			name: "connect, nothing to do in 10 files", times: 20, same: true, hasOld: true, args: archive,
			make: withCopy(func(src string) error { return rrtest.SmallFiles(src, 10) }),
		},
		nothingToDo(n(10_000), 1),
		nothingToDo(n(100_000), 1),
		nothingToDo(n(1_000_000), 1),
		nothingToDo(n(20_000), 20),
		{
			name: fmt.Sprintf("first copy of %d small files", n(50_000)), args: archive,
			make: func(src, _ string) error { return rrtest.SmallFiles(src, n(50_000)) },
		},
		{
			name: fmt.Sprintf("first copy of %d small files, 2 ms per open and per read", n(5_000)), delay: 2 * time.Millisecond, args: archive,
			make: func(src, _ string) error { return rrtest.SmallFiles(src, n(5_000)) },
		},
		{
			name: fmt.Sprintf("first copy of a file of %d MiB", n(2048)), args: archive,
			make: func(src, _ string) error { return noiseFile(src+"/large", n(2048)) },
		},
		{
			name: fmt.Sprintf("1 %% of %d MiB edited", n(2048)), hasOld: true, args: archive,
			make: func(src, old string) error { return edited(src+"/large", old+"/large", n(2048)) },
		},
		{
			name: fmt.Sprintf("%d MiB of text, -az", n(512)), args: []string{"-az"},
			make: func(src, _ string) error { return textFiles(src, n(512)) },
		},
		sameSums(n(64), false),
		sameSums(n(64), true),
		{
			name: fmt.Sprintf("20 clients, each %d files and %d MiB", n(1000), n(32)), clients: 20, args: archive,
			make: func(src, _ string) error {
				if err := rrtest.SmallFiles(src, n(1000)); err != nil {
					return err
				}
				return noiseFile(src+"/large", n(32))
			},
		},
	}
}

// nothingToDo is a number of clients that have all files already.
func nothingToDo(files, clients int) row {
	r := row{
		name: fmt.Sprintf("nothing to do in %d files", files), same: true, hasOld: true, args: []string{"-a"},
		clients: clients, times: min(10, max(1, 100_000/files/clients)),
		make: withCopy(func(src string) error { return rrtest.SmallFiles(src, files) }),
	}
	if clients == 1 {
		r.files = files
	} else {
		r.name = fmt.Sprintf("%d clients, %s", clients, r.name)
	}
	return r
}

// sumFile is the size of each file of sameSums in MiB.
const sumFile = 32

// sameSums is a client that has all files already and compares their checksums. It
// reads its own files when it has the list of their directory, of which there are
// eight.
func sameSums(files int, cache bool) row {
	r := row{
		name: fmt.Sprintf("-ac, nothing to do in %d MiB", files*sumFile), same: true, hasOld: true, args: []string{"-ac"},
		make: withCopy(func(src string) error {
			for i := range files {
				dir := fmt.Sprintf("%s/%d", src, i%8)
				if err := errors.Join(os.MkdirAll(dir, 0o755), noiseFile(fmt.Sprintf("%s/%d", dir, i), sumFile)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	if cache {
		r.name, r.sumCache = r.name+", with --checksum-cache", true
	}
	return r
}

// withCopy builds src, and old as a copy with the same times.
func withCopy(build func(src string) error) func(src, old string) error {
	return func(src, old string) error {
		return errors.Join(build(src), rrtest.AgeTree(src), copyTree(src, old))
	}
}

// copyTree copies what is in from to the directory to.
func copyTree(from, to string) error {
	out, err := exec.Command("cp", "-a", "--", from+"/.", to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cp -a: %w\n%s", err, out)
	}
	return nil
}

// noiseFile makes a file of random bytes.
func noiseFile(name string, mebibytes int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	src := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 1<<20)
	for range mebibytes {
		src.Read(buf)
		if _, err := f.Write(buf); err != nil {
			return err
		}
	}
	return f.Close()
}

// edits is how many places of a file change in "1 % edited".
const edits = 20

// edited makes the file old of random bytes, and name from it with edits
// places spread over the file overwritten, together 1 % of it, and a few bytes
// inserted at the front, so that nothing is where it was.
func edited(name, old string, mebibytes int) error {
	if err := noiseFile(old, mebibytes); err != nil {
		return err
	}
	from, err := os.Open(old)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(name)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := to.WriteString("inserted"); err != nil {
		return err
	}
	if _, err := to.ReadFrom(from); err != nil {
		return err
	}
	size := int64(mebibytes) << 20
	change := []byte(rrtest.Noise(9, int(size/100/edits)))
	for i := range int64(edits) {
		if _, err := to.WriteAt(change, size/edits*i); err != nil {
			return err
		}
	}
	return to.Close()
}

// textFiles makes files of up to 64 MiB that look like logs.
func textFiles(dir string, mebibytes int) error {
	const most = 64
	text := rrtest.Text(1, min(most, mebibytes)<<20)
	for i := 0; mebibytes > 0; i++ {
		name := filepath.Join(dir, fmt.Sprintf("log.%d", i))
		// No window of a compressor reaches as far back as the last file.
		if err := os.WriteFile(name, []byte(text[:min(most, mebibytes)<<20]), 0o644); err != nil {
			return err
		}
		mebibytes -= most
	}
	return nil
}
