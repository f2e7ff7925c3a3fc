//go:build docs

package test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"rrserve/internal/rrtest"
)

// step is a script, and where it runs: main, backup, checkout (another shell on main), or host,
// which sees the others' files below $MAIN and $BACKUP.
type step struct{ on, script string }

// walk is a document that a reader follows from top to bottom.
type walk struct {
	document string
	old      bool              // main has sshd and rsync, which the document moves away from
	given    []step            // what is there before, by the document's own text
	serves   map[string]string // lines that go on until they are interrupted, and what they print once they serve
	byHand   map[string][]step // what the prose asks for after the block that begins with a line
	inText   []step            // commands between the lines, in the end: each stands in the text as it is here
	holds    []step            // what the reader has then
}

// The scripts that several documents share.
const (
	clone   = "cp -a /usr/src/rrserve .\n"
	deb     = "cp /usr/src/rrserve_*.deb .\n"
	install = deb + "apt-get install -y ./rrserve_*.deb\n"
	// A tree of several owners, all of which everybody may read.
	tree = `mkdir -p '/srv/photos/summer 2026' /srv/mail
head -c 300000 /dev/urandom >'/srv/photos/summer 2026/beach.jpg'
ln -s 'summer 2026' /srv/photos/newest
echo hello >/srv/mail/inbox
chown -R 1000:1000 /srv/photos
chown 1001:mail /srv/mail/inbox
`
	// The same, with files that their owners keep to themselves.
	privateTree = tree + "chmod 0600 /srv/mail/inbox\nchmod 0700 '/srv/photos/summer 2026'\n"
	keyPair     = "mkdir -p -m 0700 .ssh\nssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519 -C backup\ncp .ssh/id_ed25519.pub /walk/backup.pub\n"
	service     = "install -D /walk/backup.pub /etc/rrserve/authorized_keys\necho RRSERVE_ROOT=/srv >>/etc/rrserve/rrserve.env\nsystemctl start rrserve\n"
	readAll     = "install -D -m 0644 /usr/share/doc/rrserve/examples/read-all.conf /etc/systemd/system/rrserve.service.d/read-all.conf\nsystemctl daemon-reload\n"
	pull        = "rsync -a -e 'ssh -p 2222' rrserve@main: got\n"
	auditLog    = "until grep beach.jpg /var/log/rrserve/audit.log; do sleep 0.1; done\n"
	// same fails unless two trees are alike, down to owners and times.
	same = `same() { diff -r --no-dereference "$1" "$2"; [ -z "$(rsync -aHXin --delete "$1/" "$2/" | tee /dev/stderr)" ]; }
`
	// nightly fails unless the timer runs at night, and its service makes a second copy.
	nightly = `next=$(systemctl show --value --property NextElapseUSecRealtime rrserve-pull.timer)
case $next in *' 02:'* | *' 03:00:'*) ;; *) echo "the timer elapses at: $next" >&2; exit 1 ;; esac
[ "$(ls -d /srv/backup/main/2* | wc -l)" = 1 ]
systemctl start rrserve-pull.service
[ "$(ls -d /srv/backup/main/2* | wc -l)" = 2 ]
`
	// btrfs copies, for the machines have no such file system.
	btrfs = `cat >/usr/local/bin/btrfs <<'.'
#!/bin/sh
case $* in 'subvolume snapshot -r '*) cp -a "$4" "$5" ;; 'subvolume delete '*) rm -r "$3" ;; *) exit 1 ;; esac
.
chmod 0755 /usr/local/bin/btrfs
`
	nightlySame = same + `for copy in $BACKUP/srv/backup/main/2*; do same $MAIN/srv $copy; done
`
)

var walks = []walk{
	{
		document: "README.md",
		given:    []step{{"main", tree + clone}, {"backup", keyPair + "mkdir -p /home/pi"}, {"main", "cp /walk/backup.pub rrserve/"}},
		serves: map[string]string{
			"make run ROOT=/srv KEY=backup.pub":                    "listening",
			"make run ROOT=/srv KEY=backup.pub RRSERVE_READ_ALL=1": "listening",
		},
		byHand: map[string][]step{
			"rsync -azh --stats -e 'ssh -p 2222' rrserve@main:* /home/pi/Backup/": {
				{"host", same + "same $MAIN/srv $BACKUP/home/pi/Backup"},
				{"main", "chmod 0600 /srv/mail/inbox"},
				{"backup", "rm -r /home/pi/Backup"},
				{"checkout", "kill -INT %1\nwait %1 || true"}},
		},
		inText: []step{{"checkout", "make help"}, {"checkout", "make run ROOT=/srv KEY=backup.pub RRSERVE_READ_ALL=1"}},
		holds:  []step{{"backup", "rsync -azh --stats -e 'ssh -p 2222' rrserve@main:* /home/pi/Backup/"}, {"host", same + "same $MAIN/srv $BACKUP/home/pi/Backup"}},
	},
	{
		document: "docs/quick-start.md",
		given:    []step{{"main", privateTree + deb}, {"backup", clone + "cd rrserve"}},
		byHand: map[string][]step{
			"apt-get install -y rsync openssh-client": {{"backup", "cp backup.pub /walk"}, {"main", "cp /walk/backup.pub ."}},
			"ssh-keyscan -p 2222 -t ed25519 main >/etc/rrserve-pull/known_hosts": {
				{"main", "journalctl -u rrserve | grep -o 'SHA256:[^ ]*' >/walk/fingerprint"},
				{"backup", "ssh-keygen -l -f /etc/rrserve-pull/known_hosts | grep -F \"$(cat /walk/fingerprint)\""}},
			// Then without a package.
			"cp examples/pull/rrserve-pull.service examples/pull/rrserve-pull.timer /etc/systemd/system/": {
				{"host", nightlySame},
				{"main", clone + "apt-get remove -y rrserve\nrm /etc/systemd/system/rrserve.service.d/read-all.conf\n"}},
		},
		holds: []step{{"host", nightlySame}, {"backup", nightly}, {"host", nightlySame}},
	},
	{
		document: "docs/moving-from-rrsync.md",
		old:      true,
		given: []step{
			{"backup", keyPair + "mkdir -p /home/pi\nssh-keyscan -t ed25519 main >.ssh/known_hosts\n"},
			{"main", privateTree + deb + `useradd --create-home pi
chown -R pi: /srv
mkdir -m 0700 ~pi/.ssh
echo "command=\"rrsync -ro /srv\",restrict $(cat /walk/backup.pub)" >~pi/.ssh/authorized_keys
chown -R pi: ~pi/.ssh
`},
			{"backup", "rsync -a --delete pi@main: /home/pi/Backup/\n"},
			{"main", "echo more >>/srv/mail/inbox\nrm -r /srv/photos/newest"},
		},
		holds: []step{
			{"host", same + "same $MAIN/srv $BACKUP/home/pi/Backup"},
			{"backup", "[ -s before.txt ]\n{ ssh -p 2022 pi@main || true; } 2>&1 | grep 'Permission denied'"},
			{"main", "rm /etc/systemd/system/rrserve.service.d/user.conf\n" + readAll + "systemctl restart rrserve\nuserdel pi\napt-get remove -y rsync\nchown 1001 /srv/mail/inbox"},
			{"backup", "rsync -a --delete pi@main: /home/pi/Backup/"},
			{"host", same + "same $MAIN/srv $BACKUP/home/pi/Backup"},
		},
	},
	{
		document: "docs/hardening.md",
		given: []step{
			{"main", privateTree + install + readAll},
			{"backup", keyPair + clone + `ssh-keygen -q -t ed25519 -N '' -f ca
cp .ssh/id_ed25519.pub .
mkdir -p /srv/backup/main
cp rrserve/examples/pull/rrserve-pull.service /etc/systemd/system/
cp rrserve/examples/pull/rrserve-pull /usr/local/bin/
`},
			{"main", service},
		},
		inText: []step{
			{"main", "systemctl kill -s USR1 --kill-who=main rrserve"},
			{"main", "systemd-analyze security rrserve"},
			{"main", "systemctl show -p CapabilityBoundingSet rrserve"},
			{"main", "ss -tln"},
			{"backup", "ssh-keygen -s ca -I backup -n backup -V +1d id_ed25519.pub"},
			{"backup", "ssh-keygen -L -f id_ed25519-cert.pub"},
			{"backup", "systemd-analyze security rrserve-pull"},
			{"backup", "findmnt -o OPTIONS --target /srv/backup"},
			{"backup", "ls /srv/backup/main"},
		},
		holds: []step{
			{"backup", pull},
			{"host", same + "same $MAIN/srv/photos $BACKUP/root/got"},
			{"main", auditLog},
		},
	},
	{
		document: "docs/metrics.md",
		given:    []step{{"main", tree + install}, {"backup", keyPair}, {"main", service}},
		holds: []step{
			{"backup", pull},
			{"main", "until rrserve status | grep fresh; do sleep 0.1; done"},
		},
	},
	{
		document: "docs/configuration.md",
		old:      true,
		given: []step{
			{"main", tree + clone + install},
			{"backup", keyPair},
			{"main", service + "cp /walk/backup.pub .\ninstall -D backup.pub /etc/rrserve/keys.d/pi.pub\ninstall -D rrserve/examples/snapshot/btrfs.sh /usr/local/lib/rrserve/btrfs.sh\nmkdir /srv/snapshots\n"},
		},
		byHand: map[string][]step{
			`metrics_listen = "127.0.0.1:9222"      # every flag, with _ for -`: {{"main", "rrserve check"}},
			"[roots.photos]": {{"main", "rrserve check\nrm /etc/rrserve/rrserve.toml"}},
			"[Unit]": {
				{"main", "install -D -m 0644 /dev/stdin /etc/systemd/system/rrserve.socket.d/override.conf <<'.'\n[Unit]\nConditionPathExists=\n.\nrm -r /etc/rrserve/keys.d /etc/rrserve/authorized_keys\nsystemctl daemon-reload\nsystemctl restart rrserve.socket rrserve\nrrserve check\nrrserve healthcheck\n"},
				{"backup", pull}, {"host", same + "same $MAIN/srv $BACKUP/root/got"}, {"backup", "rm -r got"}},
			"/var/log/rrserve/audit.log {": {
				{"main", "echo RRSERVE_AUDIT_LOG=/var/log/rrserve/audit.log >>/etc/rrserve/rrserve.env\nsystemctl restart rrserve"},
				{"backup", pull},
				{"main", auditLog + "logrotate --force /etc/logrotate.d/rrserve\n[ -s /var/log/rrserve/audit.log.1.gz ]"},
				{"backup", "rm -r got\n" + pull},
				{"main", auditLog}},
		},
		inText: []step{{"main", "systemctl kill -s HUP --kill-who=main rrserve"}},
	},
	{
		document: "docs/packages.md",
		given:    []step{{"backup", keyPair}, {"main", tree + deb + "cp /walk/backup.pub .\n"}},
		byHand: map[string][]step{
			"cp backup.pub /etc/rrserve/authorized_keys": {{"backup", pull}, {"host", same + "same $MAIN/srv $BACKUP/root/got"}},
		},
		holds: []step{{"main", "[ -z \"$(ss -Hltn sport = :2222)\" ]\n[ ! -e /etc/rrserve ]\n[ ! -e /usr/bin/rrserve ]"}},
	},
	{
		document: "docs/options.md",
		given:    []step{{"main", tree + install}, {"backup", keyPair}, {"main", service}},
		inText: []step{
			{"main", "rrserve options"},
			{"main", "rrserve version"},
			{"main", "rrserve completion bash"},
			{"main", "rrserve check"},
			{"main", "rrserve check-sandbox"},
			{"main", "rrserve healthcheck"},
		},
	},
	{
		document: "docs/troubleshooting.md",
		given:    []step{{"main", tree + install}, {"backup", keyPair}, {"main", service}, {"backup", pull}},
		inText: []step{
			{"main", "rrserve check"},
			{"main", "rrserve options"},
			{"main", "rrserve check-sandbox"},
			{"backup", "ssh-keygen -R '[main]:2222'"},
		},
		holds: []step{{"backup", pull}},
	},
	{
		document: "examples/snapshot/README.md",
		given: []step{
			{"main", tree + clone + install + btrfs + `cat >/etc/rrserve/rrserve.toml <<'.'
[roots.photos]
path = "/srv/photos"
snapshot_cmd = ["/usr/local/lib/rrserve/btrfs.sh"]
snapshot_dir = "/srv/snapshots"
[clients.pi]
root = "photos"
.
`},
			{"backup", keyPair},
			{"main", "install -D -m 0644 /walk/backup.pub /etc/rrserve/keys.d/pi.pub"},
		},
		serves: map[string]string{"rrserve --config /etc/rrserve/rrserve.toml --keys-dir /etc/rrserve/keys.d": "listening"},
		holds: []step{
			{"backup", pull},
			{"host", same + "same $MAIN/srv/photos $BACKUP/root/got"},
			{"main", "grep /srv/snapshots/rrserve- /walk/serves\nkill -INT %1\nwait %1\nrmdir /srv/snapshots"},
		},
	},
	{
		document: "examples/pull/README.md",
		given:    []step{{"main", tree + install}, {"backup", clone}},
		byHand: map[string][]step{
			"cd rrserve/examples/pull": {{"backup", "cp /etc/rrserve-pull/id_ed25519.pub /walk/backup.pub"}, {"main", service}},
		},
		holds: []step{
			{"host", nightlySame},
			{"backup", nightly},
			{"host", nightlySame},
			{"backup", `eval "$(sed -n 's/^[^#]* root //p' /etc/cron.d/rrserve-pull)"; [ -s /var/log/rrserve-pull.log ]`},
		},
	},
}

// elsewhere are the places whose blocks these machines cannot run, and who looks at them.
var elsewhere = map[string]string{
	"container": "make test-image",
	"cluster":   "make test-image, with the pod under podman and no Kubernetes",
}

// TestDocuments follows each document as a reader would, in Debians that were booted for
// it, and looks whether the reader ends with what was promised.
func TestDocuments(t *testing.T) {
	base := cleanBase(t)
	for _, w := range walks {
		t.Run(w.document, func(t *testing.T) { w.follow(t, base) })
	}
}

// Each document with something to run is followed.
func TestDocumentsListed(t *testing.T) {
	for _, document := range rrtest.Documents(t, "..") {
		fences, _ := rrtest.Fences(readDocument(t, document))
		followed := slices.ContainsFunc(walks, func(w walk) bool { return w.document == document })
		if slices.ContainsFunc(fences, runnable) && !followed {
			t.Errorf("%s: nobody follows it", document)
		}
	}
}

func readDocument(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile("../" + document)
	check(t, err)
	return string(text)
}

// runnable reports whether a block is for the machines of this test.
func runnable(f rrtest.Fence) bool {
	_, other := elsewhere[f.Arg]
	return !other && slices.Contains([]string{"sh", "toml", "conf"}, f.Kind)
}

// walker is a reader with a shell on each machine.
type walker struct {
	*walk
	t            *testing.T
	main, backup *machine
	sessions     map[string]*session
	unused       map[string]bool // keys of serves and byHand
}

func (w *walk) follow(t *testing.T, base string) {
	shared := rrtest.TempDir(t)
	main, backup := pair(t, base, shared)
	if !w.old {
		main.enter("--all", append([]string{"dpkg", "--purge"}, clientPackages...)...)
	}
	r := &walker{walk: w, t: t, main: main, backup: backup, unused: map[string]bool{}, sessions: map[string]*session{
		"main":     main.login("main", shared),
		"backup":   backup.login("backup", shared),
		"checkout": main.login("checkout", shared),
	}}
	for line := range w.serves {
		r.unused[line] = true
	}
	for line := range w.byHand {
		r.unused[line] = true
	}
	r.steps("what is given", w.given)
	fences, text := rrtest.Fences(readDocument(t, w.document))
	for _, f := range fences {
		r.block(f)
		first, _, _ := strings.Cut(f.Text, "\n")
		r.steps("by hand", w.byHand[first])
		delete(r.unused, first)
	}
	for _, s := range w.inText {
		if !strings.Contains(text, "`"+s.script+"`") {
			t.Errorf("%s does not say `%s`", w.document, s.script)
		}
		r.steps("its text", []step{{s.on, r.interruptible(s.script)}})
	}
	r.steps("what holds", w.holds)
	for line := range r.unused {
		t.Errorf("%s: no line %q", w.document, line)
	}
}

func (r *walker) steps(what string, steps []step) {
	r.t.Helper()
	for _, s := range steps {
		if s.on != "host" {
			r.run(s.on, what, 1, s.script)
			continue
		}
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", s.script)
		cmd.Env = append(os.Environ(), "MAIN="+r.main.root(), "BACKUP="+r.backup.root())
		if out, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("%s, %s: %v\n%s\n--- it says\n%s", r.document, what, err, s.script, out)
		}
	}
}

// block does what the info string of a fence says.
func (r *walker) block(f rrtest.Fence) {
	r.t.Helper()
	if !runnable(f) {
		return
	}
	if f.Kind == "sh" {
		r.run(f.Arg, r.document, f.Line, r.interruptible(f.Text))
		return
	}
	name, on, other := strings.Cut(f.Arg, "@")
	if !other {
		on = "main"
	}
	r.run(on, r.document, f.Line, fmt.Sprintf("install -D -m 0644 /dev/stdin '%s' <<'.'\n%s.\n", name, f.Text))
}

// interruptible lets the lines of a block that serve do so in the background.
func (r *walker) interruptible(script string) string {
	for line, serving := range r.serves {
		background := fmt.Sprintf("set -m; %s >/walk/serves 2>&1 & set +m; until grep -q '%s' /walk/serves; do kill -0 $!; sleep 0.1; done; cat /walk/serves", line, serving)
		if all := strings.Split(script, "\n"); slices.Contains(all, line) {
			all[slices.Index(all, line)] = background
			delete(r.unused, line)
			script = strings.Join(all, "\n")
		}
	}
	return script
}

func (r *walker) run(on, document string, line int, script string) {
	r.t.Helper()
	s := r.sessions[on]
	if s == nil {
		r.t.Fatalf("%s:%d: there is no machine %q", document, line, on)
	}
	out, err := s.run(document, line, script)
	if err != nil {
		r.t.Fatalf("%s, %s:%d on %s: %v\n%s\n--- it says\n%s--- the journal of main\n%s--- the journal of backup\n%s", r.document, document, line, on, err, script, out, r.main.journal(), r.backup.journal())
	}
}
