package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"rrserve/internal/rrtest"
)

// runTimeout ends a client that hangs.
const runTimeout = 10 * time.Minute

// runner runs rows in dir.
type runner struct {
	dir, binary string
	reps        int
}

// row builds the row's tree and lets the two servers take turns with it. The
// first result is rrserve's, the second the C stack's.
func (b *runner) row(r row) (sides [2][]usage, err error) {
	dir, err := os.MkdirTemp(b.dir, "row-")
	if err != nil {
		return sides, err
	}
	defer os.RemoveAll(dir)
	src, old := dir+"/src", dir+"/old"
	if err := errors.Join(os.Mkdir(src, 0o755), os.Mkdir(old, 0o755)); err != nil {
		return sides, err
	}
	if err := r.make(src, old); err != nil {
		return sides, err
	}
	if !r.same {
		// Where a directory changed within the second of the run, the client
		// leaves a time of its own.
		if err := rrtest.AgeTree(src); err != nil {
			return sides, err
		}
	}
	served := src
	if r.delay > 0 {
		served = dir + "/slow"
		unmount, err := slowMount(src, served, r.delay)
		if err != nil {
			return sides, err
		}
		defer func() { err = errors.Join(err, unmount()) }()
	}
	if r.sumCache {
		if err := b.fillCache(r, dir, served); err != nil {
			return sides, err
		}
	}
	for rep := range b.reps {
		for turn := range 2 {
			side := (turn + rep) % 2 // who begins alternates
			u, err := b.once(r, side, dir, served, rep == 0)
			if err != nil {
				return sides, err
			}
			sides[side] = append(sides[side], u)
		}
	}
	return sides, nil
}

// start starts a fresh server, so that no run profits from the last, but through
// the cache of checksums, or keeps its memory.
func (b *runner) start(r row, side int, dir, root string) (*rrtest.Server, error) {
	if side != 0 {
		return rrtest.StartSshd(root, rrtest.WithRrsync())
	}
	opts := []rrtest.Option{rrtest.WithBinary(b.binary)}
	if r.sumCache {
		opts = append(opts, rrtest.WithArgs("--checksum-cache", dir+"/sums"))
	}
	return rrtest.StartRrserve(root, opts...)
}

// settle is how long a file must not have changed before its checksum is
// remembered, and a bit more.
const settle = 61 * time.Second

// fillCache runs the row once, after which all checksums are remembered.
func (b *runner) fillCache(r row, dir, served string) error {
	time.Sleep(settle)
	_, err := b.once(r, 0, dir, served, false)
	return err
}

// once measures one run. With check it also compares what arrived.
func (b *runner) once(r row, side int, dir, served string, check bool) (usage, error) {
	dsts, err := destinations(r, dir)
	if err != nil {
		return usage{}, err
	}
	s, err := b.start(r, side, dir, served)
	if err != nil {
		return usage{}, err
	}
	defer s.Stop()
	u, err := measure(s, r, dsts)
	if err != nil || !check {
		return u, errors.Join(err, discard(r, dsts))
	}
	return u, errors.Join(compare(dir+"/src", dsts[0]), discard(r, dsts))
}

// destinations makes one destination for each client.
func destinations(r row, dir string) ([]string, error) {
	if r.same {
		return slices.Repeat([]string{dir + "/old"}, max(1, r.clients)), nil
	}
	var dsts []string
	for i := range max(1, r.clients) {
		dst := fmt.Sprintf("%s/dst%d", dir, i)
		dsts = append(dsts, dst)
		if err := os.Mkdir(dst, 0o755); err != nil {
			return nil, err
		}
		if r.hasOld {
			if err := copyTree(dir+"/old", dst); err != nil {
				return nil, err
			}
		}
	}
	return dsts, nil
}

func discard(r row, dsts []string) error {
	if r.same {
		return nil
	}
	var errs []error
	for _, dst := range dsts {
		errs = append(errs, os.RemoveAll(dst))
	}
	return errors.Join(errs...)
}

// measure runs the row's clients and takes the server's account before and
// after.
func measure(s *rrtest.Server, r row, dsts []string) (usage, error) {
	pid, times := s.Process.Pid, max(1, r.times)
	before, err := cpuTime(pid)
	clientBefore, clientErr := clientTime()
	if err := errors.Join(err, clientErr); err != nil {
		return usage{}, err
	}
	memory := startSampler(pid)
	begin := time.Now()
	errs := make([]error, len(dsts))
	var all sync.WaitGroup
	for i, dst := range dsts {
		all.Go(func() { errs[i] = pull(s, r.args, dst, times) })
	}
	all.Wait()
	u := usage{wall: time.Since(begin) / time.Duration(times)}
	u.memory = memory.end()
	if err := errors.Join(append(errs, waitForDescendants(pid))...); err != nil {
		return u, err
	}
	after, err := cpuTime(pid)
	u.cpu = (after - before) / time.Duration(times)
	clientAfter, clientErr := clientTime()
	u.client = (clientAfter - clientBefore) / time.Duration(times)
	return u, errors.Join(err, clientErr)
}

// pull runs the client a number of times.
func pull(s *rrtest.Server, args []string, dst string, times int) error {
	client := rrtest.Client{Server: s, Timeout: runTimeout}
	for range times {
		res, err := client.Exec(client.RsyncCommand(append(args[:len(args):len(args)], rrtest.Host+":", dst)...)...)
		if err == nil && res.Code != 0 {
			err = errors.New("the client failed")
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%v\nserver:\n%s", s.Name, err, res, s.Log())
		}
	}
	return nil
}

// compare makes sure that what is measured is right.
func compare(src, dst string) error {
	want, err := rrtest.Take(src, rrtest.Aspects{})
	if err != nil {
		return err
	}
	got, err := rrtest.Take(dst, rrtest.Aspects{})
	if err != nil {
		return err
	}
	if d := rrtest.Diff(want, got); len(d) > 0 {
		return fmt.Errorf("%d objects differ after the pull:\n%s", len(d), strings.Join(d[:min(10, len(d))], "\n"))
	}
	return nil
}
