package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"rrserve/internal/rsyncproto"
	"rrserve/internal/sshsrv"
	"rrserve/internal/vfs"
)

const (
	// auditBuffer is from how many bytes on a session's lines are written, and
	// auditDelay after how long at the latest.
	auditBuffer = 8 << 10
	auditDelay  = time.Second
	// auditMode is that of a new file: the names in it are those of the tree.
	auditMode = 0o640
)

// auditLog is the file of --audit-log, with a line for each file that was sent.
// It is opened before the sandbox, which lets it be written and not be opened
// again. A line that cannot be written is lost, and no pull fails for it.
type auditLog struct {
	w   io.Writer
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	lost int  // lines, since writing failed; 0: it works
	torn bool // the last line in the file has no end
}

// openAuditLog opens the file, or standard output for "-"; without a name there is
// no log.
func openAuditLog(name string, log *slog.Logger) (*auditLog, error) {
	a := &auditLog{w: os.Stdout, log: log, now: time.Now}
	switch name {
	case "":
		return nil, nil
	case "-":
		return a, nil
	}
	var f *os.File
	err := checkAuditLog(name)
	if err == nil {
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, auditMode)
	}
	if err != nil {
		return nil, configf("--audit-log %s: %w", name, bare(err))
	}
	a.w = f
	return a, nil
}

// checkAuditLog refuses what opening would wait for: a FIFO without a reader.
func checkAuditLog(name string) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return errors.New("not a regular file; allowed is one, or - for standard output")
	}
	return nil
}

// moved reports whether the name leads to another file by now, or to none: somebody
// rotates it by renaming.
func (a *auditLog) moved(name string) bool {
	if a == nil || name == "-" {
		return false
	}
	f, ok := a.w.(*os.File)
	return ok && replaced(f, name)
}

// write appends whole lines in one call, so that those of other sessions, and of
// other servers with the same file, do not come between.
func (a *auditLog) write(lines []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.torn {
		lines = append([]byte{'\n'}, lines...)
	}
	n, err := a.w.Write(lines)
	if n > 0 {
		a.torn = lines[n-1] != '\n'
	}
	switch {
	case err != nil:
		if a.lost == 0 {
			a.log.Warn("the audit log cannot be written: lines are lost until it can", "err", err)
		}
		a.lost += bytes.Count(lines[n:], []byte{'\n'})
	case a.lost > 0:
		a.log.Warn("the audit log is written again", "lost", a.lost)
		a.lost = 0
	}
}

// attend enters what a session sends, until end is called. A nil log enters
// nothing.
func (a *auditLog) attend(c *rsyncproto.Config, x *sshsrv.Exec, g *grant) (end func()) {
	if a == nil {
		return func() {}
	}
	t := a.begin(x, g)
	c.FileSent = t.sent
	return t.flush
}

func (a *auditLog) begin(x *sshsrv.Exec, g *grant) *trail {
	address := x.Remote.Addr().String() // twice: rsyncd has the host's name first
	return &trail{log: a, head: fmt.Sprintf(" send %s [%s] %s (%s) ", address, address, word(g.root.name), word(g.client))}
}

// trail is what one session sent and is not written yet.
type trail struct {
	log  *auditLog
	head string

	mu  sync.Mutex
	buf []byte
}

// sent enters a file, with its length in bytes.
func (t *trail) sent(p vfs.Path, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		time.AfterFunc(auditDelay, t.flush)
	}
	t.buf = t.log.now().UTC().AppendFormat(t.buf, time.RFC3339)
	t.buf = append(t.buf, t.head...)
	t.buf = fmt.Appendf(t.buf, "%s %d\n", escape(strings.TrimPrefix(p.String(), "/")), size)
	if len(t.buf) >= auditBuffer {
		t.write()
	}
}

// flush writes what there is.
func (t *trail) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write()
}

func (t *trail) write() {
	if len(t.buf) > 0 {
		t.log.write(t.buf)
		t.buf = t.buf[:0]
	}
}

// escape writes bytes that are not printable as \#ooo, and a backslash that could
// be taken for the beginning of that, as rsync does.
func escape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) || escaped(name[i:]) {
			for _, c := range []byte(name[i : i+n]) {
				fmt.Fprintf(&b, `\#%03o`, c)
			}
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

// escaped reports whether a text begins as an escaped byte does.
func escaped(s string) bool {
	const digits = "0123456789"
	return len(s) >= 5 && s[:2] == `\#` && strings.Trim(s[2:5], digits) == ""
}

// word is escape for what must not contain blanks.
func word(name string) string { return strings.ReplaceAll(escape(name), " ", `\#040`) }
