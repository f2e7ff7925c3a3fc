package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/spf13/afero"

	"rrserve/internal/jail"
	"rrserve/internal/rsyncproto"
	"rrserve/internal/snapshot"
	"rrserve/internal/sshsrv"
	"rrserve/internal/status"
	"rrserve/internal/sumcache"
	"rrserve/internal/vfs"
)

// sumMemory bounds the memory for block sums of all sessions, in bytes: enough for
// two files of several hundred GiB and many small ones. Where addresses have 32 bits
// it is an eighth: they reach 2 to 4 GiB, sums that come and go take several times
// their size, and an allocation that finds no room ends the process.
const sumMemory = 1 << (27 + bits.UintSize/64*3)

// maxFetched bounds the files that all sessions together read before their turn:
// 128 MiB of memory, and an eighth of the threads that a Go process may have.
const maxFetched = 1024

// newHandler returns what runs for each command: one pull from the tree that the
// key was given, or the answer to a probe.
func newHandler(live *atomic.Pointer[options], snapshots *snapshot.Client, board *status.Board, sums *sumcache.Cache, audit *auditLog, log *slog.Logger) sshsrv.Handler {
	users, groups := newIDFile("/etc/passwd"), newIDFile("/etc/group")
	base := rsyncproto.Config{
		SumMemory: rsyncproto.NewSumMemory(sumMemory),
		Fetches:   rsyncproto.NewFetchLimit(maxFetched),
	}
	if sums != nil {
		base.SumCache = sums
	}
	var running perClient
	return func(ctx context.Context, x *sshsrv.Exec) int {
		began := time.Now()
		g := x.Key.Grant.(*grant)
		if why := g.refuses(began); why != "" {
			return refuse(log, x, g, codeHours, why)
		}
		if limit := g.limits.MaxSessions; !running.enter(g.client, limit) {
			return refuse(log, x, g, "E-LIMIT", fmt.Sprintf("%d sessions of this key are running, as many as it may have", limit))
		}
		defer running.leave(g.client)
		c := base
		o := live.Load()
		c.Probes, c.Idle = !o.noProbes, o.idleTimeout
		c.Command, c.Stdin, c.Stdout, c.Stderr, c.Abort = x.Command, x.Stdin, x.Stdout, x.Stderr, x.Abort
		c.UserName, c.GroupName = users.Names(), groups.Names()
		c.BWLimit = g.limits.BWLimit.KiB()
		c.SumDiffers = reportDiffering(log, x, g.root.path)
		g.root.configure(&c)
		res := watched(board, g, x, log, func(p *rsyncproto.Progress) rsyncproto.Result {
			c.Progress = p
			defer audit.attend(&c, x, g)()
			return pull(ctx, g.root, snapshots, c)
		})
		record(log, x, g, res, time.Since(began))
		return res.ExitStatus
	}
}

// configure tells the engine about the root.
func (r *servedRoot) configure(c *rsyncproto.Config) {
	c.Module, c.Alias, c.MungeLinks, c.Space = r.name, r.alias(), r.mungeLinks, spaceOf(r.path)
}

// codeHours is the code of a refusal at the wrong time of day.
const codeHours = "E-HOURS"

// refuses is why a pull may not begin now, "" if it may.
func (g *grant) refuses(now time.Time) string {
	if g.limits.Allowed(now) {
		return ""
	}
	var spans []string
	for _, h := range g.limits.Hours {
		spans = append(spans, h.String())
	}
	return "pulls with this key begin at " + strings.Join(spans, " or ") + " only"
}

// perClient counts the sessions of each client.
type perClient struct {
	mu      sync.Mutex
	running map[string]int
}

// enter takes a place; a limit of 0 is none.
func (p *perClient) enter(client string, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit > 0 && p.running[client] >= limit {
		return false
	}
	if p.running == nil {
		p.running = make(map[string]int)
	}
	p.running[client]++
	return true
}

func (p *perClient) leave(client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running[client]--; p.running[client] == 0 {
		delete(p.running, client)
	}
}

// moduleName is the name of the tree for host::module: the base name of its
// directory, "root" where that cannot be one.
func moduleName(root string) string {
	name := filepath.Base(root)
	if strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsAny(name, `/\`) || name[0] == '#' {
		return "root"
	}
	return name
}

// pull serves one command. The root is opened anew for it, so that a root that
// is a link to the newest snapshot may change between pulls and never within. Where
// a command makes snapshots, nothing else is served.
func pull(ctx context.Context, root *servedRoot, snapshots *snapshot.Client, c rsyncproto.Config) rsyncproto.Result {
	if root.snapshots != nil {
		return pullSnapshot(ctx, root, snapshots, c)
	}
	tree, err := openTree(root.path)
	if err != nil {
		io.WriteString(c.Stderr, "rrserve: the served directory cannot be opened, see the server's log\n")
		return rsyncproto.Result{ExitStatus: rsyncproto.ExitFileSelect, Err: err}
	}
	defer tree.Close()
	return serveTree(ctx, tree, c)
}

// serveTree runs the engine on a tree that is open.
func serveTree(ctx context.Context, tree *jail.Root, c rsyncproto.Config) rsyncproto.Result {
	c.FS, c.NoXattrs, c.NoBtimes = viewOf(tree), jail.Xattrs == 0, !tree.Btimes()
	return rsyncproto.Serve(ctx, c)
}

// viewOf is what the engine sees of a tree.
func viewOf(tree *jail.Root) vfs.FS {
	stack := afero.NewReadOnlyFs(afero.NewBasePathFs(tree, "/"))
	return vfs.FromAfero(stack, vfs.Flags{NoFollow: jail.NoFollow, NoAtime: jail.NoAtime, Xattrs: jail.Xattrs})
}

// openTree pins the root and sees whether it can be read. What has taken its
// place since the start can be pinned, but the sandbox keeps it from being read.
func openTree(root string) (*jail.Root, error) {
	tree, err := jail.Open(root)
	if err != nil {
		return nil, err
	}
	dir, err := tree.Open("/")
	if err != nil {
		tree.Close()
		return nil, fmt.Errorf("%w; if another directory is there than at the start, restart the server", err)
	}
	dir.Close()
	return tree, nil
}
