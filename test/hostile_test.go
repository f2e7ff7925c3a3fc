package test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rrserve/internal/rrtest"
)

// hostileMemory is what the server may use at most under TestHostileClients: 1
// MiB for each of the 300 connections that may wait for their login and for each
// session, and as much again for what the garbage collector has not seen yet.
const hostileMemory = 2 * (300 + slowReaders + realPulls) << 20

// TestHostileClients pulls while half-open connections, clients that fail to log
// in and sessions that do not read keep the server busy, all from one address.
// The pulls end well, memory stays within hostileMemory, and nothing is left
// behind.
func TestHostileClients(t *testing.T) {
	src := rrtest.ScratchDir(t) + "/src"
	check(t, rrtest.SmallFiles(src+"/many", 200))
	tr := rrtest.NewTree(t, src)
	tr.File("large", rrtest.Noise(3, 4<<20))
	tr.Done()
	s := serverState{rrtest.Rrserve(t, src)}
	// What is compared with is a server at rest that has done its work once.
	if res := rrtest.Run(t, s.Server, rrtest.ScratchDir(t)+"/first", "-a", "rr:"); res.Code != 0 {
		t.Fatal(res)
	}
	s.wait(t, "connections", 0)
	goroutines, files := s.number(t, "goroutines"), s.files(t)

	signer := clientSigner(t, s.Server)
	h := &hostile{addr: s.Addr, stop: make(chan struct{})}
	for range slowReaders {
		h.run(func() { h.slowReader(t, signer) })
	}
	for h.reading.Load() < slowReaders {
		if t.Failed() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	for i := range halfOpen {
		h.run(func() { h.halfOpen(i) })
	}
	for range 5 {
		h.run(h.failingLogin)
	}
	for h.opened.Load() < halfOpen*9/10 {
		time.Sleep(10 * time.Millisecond)
	}

	began := time.Now()
	var pulls sync.WaitGroup
	for i := range realPulls {
		dst := rrtest.ScratchDir(t) + "/dst"
		pulls.Add(1)
		go func() {
			defer pulls.Done()
			res, err := rrtest.Client{Server: s.Server, Timeout: 8 * time.Minute}.Exec(
				rrtest.Client{Server: s.Server}.RsyncCommand("-a", "rr:", dst)...)
			if err != nil || res.Code != 0 {
				t.Errorf("pull %d: %v\n%v", i, err, res)
			}
		}()
	}
	pulls.Wait()
	took := time.Since(began)
	if n := s.number(t, "sessions"); n != slowReaders {
		t.Errorf("%d of %d slow readers are left", n, slowReaders)
	}
	close(h.stop)
	h.wg.Wait()
	s.wait(t, "connections", 0)
	s.wait(t, "before_login", 0)
	peak := s.peak(t)
	t.Logf("%d pulls beside %d half-open connections (%d opened in all) and %d slow readers: %v, at most %d MiB in use",
		realPulls, halfOpen, h.opened.Load(), slowReaders, took.Round(time.Millisecond), peak>>20)
	t.Log(s.line(t))
	if peak > hostileMemory {
		t.Errorf("%d MiB in use; allowed are %d", peak>>20, hostileMemory>>20)
	}
	s.settle(t, "goroutines", goroutines, func() int { return s.number(t, "goroutines") })
	s.settle(t, "open files", files, func() int { return s.files(t) })
	if n := s.number(t, "panics"); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// hostile is a crowd of clients that mean no good.
type hostile struct {
	addr   string
	stop   chan struct{}
	wg     sync.WaitGroup
	opened atomic.Int64 // half-open connections so far
	// reading counts the slow readers that got the beginning of their file.
	reading atomic.Int64
}

func (h *hostile) run(f func()) {
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		f()
	}()
}

// hold reads from nc until the server or the test is done with it.
func (h *hostile) hold(nc net.Conn) {
	done := make(chan struct{})
	go func() {
		select {
		case <-h.stop:
		case <-done:
		}
		nc.Close()
	}()
	io.Copy(io.Discard, nc)
	close(done)
}

// pause waits for about a second; false when the test is over.
func (h *hostile) pause() bool {
	select {
	case <-h.stop:
		return false
	case <-time.After(time.Second/2 + rand.N(time.Second)):
		return true
	}
}

// halfOpen says the beginning of what a client says, and comes again when it is
// thrown out.
func (h *hostile) halfOpen(kind int) {
	for again := true; again; again = h.pause() {
		nc, err := net.DialTimeout("tcp", h.addr, 10*time.Second)
		if err != nil {
			continue
		}
		h.opened.Add(1)
		switch kind % 4 {
		case 1:
			io.WriteString(nc, "SSH-2.0-Op")
		case 2:
			io.WriteString(nc, "SSH-2.0-OpenSSH_10.0\r\n")
		case 3: // and the head of the longest packet that x/crypto takes
			io.WriteString(nc, "SSH-2.0-OpenSSH_10.0\r\n\x00\x03\xff\xfc\x04\x14")
			nc.Write(make([]byte, 1000))
		}
		h.hold(nc)
	}
}

// failingLogin tries a key that may not log in, again and again.
func (h *hostile) failingLogin() {
	_, key, _ := ed25519.GenerateKey(nil)
	signer, _ := ssh.NewSignerFromKey(key)
	for again := true; again; again = h.pause() {
		h.dial(signer)
	}
}

func (h *hostile) dial(signer ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", h.addr, &ssh.ClientConfig{
		User: "u", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: time.Minute,
	})
}

// wants is a client that asks for the first file of the list, without older blocks:
// version 32, the checksum md5, no filter rules, the request.
const wants = "\x20\x00\x00\x00" + "\x03md5" +
	"\x04\x00\x00\x07" + "\x00\x00\x00\x00" +
	"\x13\x00\x00\x07" + "\x01\x00\x80" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// slowReader asks for a file that is longer than its window, and does not read it.
func (h *hostile) slowReader(t *testing.T, signer ssh.Signer) {
	c, err := h.dial(signer)
	if err != nil {
		t.Errorf("a slow reader: %v", err)
		return
	}
	defer c.Close()
	session, err := c.NewSession()
	if err != nil {
		t.Errorf("a slow reader: %v", err)
		return
	}
	out, _ := session.StdoutPipe()
	session.Stdin = &pending{bytes.NewReader([]byte(wants)), h.stop}
	if err := session.Start("rsync --server --sender -e.LsfxCIvu . large"); err != nil {
		t.Errorf("a slow reader: %v", err)
		return
	}
	if _, err := io.ReadFull(out, make([]byte, 64<<10)); err != nil {
		t.Errorf("a slow reader: %v", err)
	}
	h.reading.Add(1)
	<-h.stop
}

// pending is a stream that does not end before stop.
type pending struct {
	r    io.Reader
	stop <-chan struct{}
}

func (p *pending) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err == io.EOF {
		<-p.stop
	}
	return n, err
}

// clientSigner is the key that may log in.
func clientSigner(t *testing.T, s *rrtest.Server) ssh.Signer {
	config, err := os.ReadFile(s.SSHConfig)
	check(t, err)
	data, err := os.ReadFile(regexp.MustCompile(`IdentityFile (\S+)`).FindStringSubmatch(string(config))[1])
	check(t, err)
	signer, err := ssh.ParsePrivateKey(data)
	check(t, err)
	return signer
}

// serverState asks a server about itself.
type serverState struct{ *rrtest.Server }

// line makes the server log its state and returns that line.
func (s serverState) line(t *testing.T) string {
	t.Helper()
	before := strings.Count(s.Log(), "msg=state ")
	check(t, s.Process.Signal(syscall.SIGUSR1))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		log := s.Log()
		if strings.Count(log, "msg=state ") > before {
			line := log[strings.LastIndex(log, "msg=state "):]
			if line, _, ok := strings.Cut(line, "\n"); ok {
				return line
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("SIGUSR1 shows nothing")
		}
	}
}

func (s serverState) number(t *testing.T, name string) int {
	t.Helper()
	m := regexp.MustCompile(" " + name + `=(\d+)`).FindStringSubmatch(s.line(t))
	if m == nil {
		t.Fatalf("the state has no %s", name)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func (s serverState) wait(t *testing.T, name string, want int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if got := s.number(t, name); got == want {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%s: %d, want %d", name, got, want)
		}
	}
}

// settle waits until there are no more than before.
func (s serverState) settle(t *testing.T, name string, before int, now func() int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); now() > before; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%d %s, %d before", now(), name, before)
			return
		}
	}
}

func (s serverState) files(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Process.Pid))
	check(t, err)
	return len(entries)
}

// peak is the most memory that the server had resident, in bytes.
func (s serverState) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	check(t, err)
	kib, err := strconv.ParseInt(regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindStringSubmatch(string(status))[1], 10, 64)
	check(t, err)
	return kib << 10
}
