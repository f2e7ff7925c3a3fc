#!/usr/bin/env bash
# Backs a tree up with tools that pull with rsync, each set up as its manual says for another
# machine: a full backup, and after some changes an incremental one. Of both, what the tool has must
# be what was there. The tools are those of a clean Debian, and know nothing of rrserve but its port.
#
#   packaging/test-tools.sh [rsnapshot] [dirvish] [backuppc] [backupninja]     (as root, after make build)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "test-tools: $*" >&2; exit 1; }

# First outside: all that is started, mounted or listened to is gone when the namespaces are.
if [ "${1-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || fail "needs root, for namespaces"
	for tool in unshare ip rsync ssh-keygen; do
		command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install util-linux iproute2 rsync openssh-client"
	done
	[ -x bin/rrserve ] || fail "no bin/rrserve: make build"
	[ $# -gt 0 ] || set -- rsnapshot dirvish backuppc backupninja
	work=$(mktemp -d)
	chmod 0755 "$work"
	trap 'rm -rf "$work"' EXIT
	# Those that backuppc leaves a choice of are named.
	packaging/clean-debian.sh "$work/root" rsync openssh-client rsnapshot dirvish backupninja backuppc iputils-ping apache2 exim4-daemon-light
	timeout 400 unshare --mount --net --pid --fork --mount-proc --kill-child packaging/test-tools.sh --inside "$work" "$@"
	exit
fi

readonly work=$2 root=$2/root main=$2/main
shift 2

inside() { chroot "$root" /usr/bin/env -i HOME=/root USER=root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
as_backuppc() { inside setpriv --reuid backuppc --regid backuppc --init-groups env HOME=/var/lib/backuppc "$@"; }

# run COMMAND... keeps what it says for a failure.
run() { "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "$*"; }; }

# before makes the tree of the first backup: owners, modes, links, and names that a shell would
# take apart. What the tools write is younger.
before() (
	mkdir -p "$work/before/etc" "$work/before/home/anna/My Documents" "$work/before/home/empty"
	cd "$work/before"
	echo old >etc/conf
	echo gone >etc/gone
	echo secret >etc/shadow
	chmod 0600 etc/shadow
	for i in {1..30}; do head -c $((i * 997)) /dev/urandom >"home/anna/$i"; done
	echo text >"home/anna/My Documents/it's \"\$HOME\" ü.txt"
	head -c 3000000 /dev/urandom >home/large
	ln home/large home/anna/hard
	ln -s anna home/link
	ln -s /nowhere home/dangling
	mkfifo home/fifo
	chown -R 1000:1000 home/anna
	chmod 0700 home/anna
	find . -exec touch --no-dereference --date=2020-01-02 {} +
)

# after makes the tree of the second backup from the first.
after() (
	cp -a "$work/before" "$work/after"
	cd "$work/after"
	echo new content >etc/conf
	chmod 0640 etc/conf
	rm etc/gone
	mv home/anna/1 home/anna/moved
	printf changed | dd of=home/large bs=1 seek=1234567 conv=notrunc status=none
	mkdir home/bob
	echo new >home/bob/file
	chown -R 1001:1002 home/bob
	ln -sfn bob home/link
	rm -r home/empty
)

# serve STATE makes the served tree the one of that name.
serve() { rsync -aH --delete "$work/$1/" "$main/"; }

# same STATE DIR COPY [OPTION...] fails unless COPY is what DIR was, down to owners and times.
same() {
	rsync -ain --checksum --delete "${@:4}" "$work/$1/$2/" "$3/" >"$work/out"
	[ ! -s "$work/out" ] || { cat "$work/out" >&2; fail "$tool: the backup $1 the changes differs"; }
}

rsnapshot_keeps() {
	printf '%s\t%s\n' config_version 1.2 snapshot_root /backup/rsnapshot/ cmd_cp /bin/cp cmd_rm /bin/rm cmd_rsync /usr/bin/rsync \
		cmd_ssh /usr/bin/ssh ssh_args '-p 2222' lockfile /run/rsnapshot.pid 'retain	alpha' 6 \
		'backup	root@main:/etc/' main/ 'backup	root@main:/home/' main/ >"$root/etc/rsnapshot.conf"
	run inside rsnapshot alpha
	serve after
	run inside rsnapshot alpha
	for dir in etc home; do
		same before $dir "$root/backup/rsnapshot/alpha.1/main/$dir"
		same after $dir "$root/backup/rsnapshot/alpha.0/main/$dir"
	done
}

dirvish_keeps() {
	mkdir -p "$root/backup/dirvish/main/dirvish"
	printf 'bank:\n\t/backup/dirvish\n' >"$root/etc/dirvish/master.conf"
	printf '%s\n' 'client: main' 'rsh: ssh -p 2222' 'tree: /' 'xdev: 1' 'index: gzip' >"$root/backup/dirvish/main/dirvish/default.conf"
	run inside dirvish --vault main --image first --init
	serve after
	run inside dirvish --vault main --image second
	same before . "$root/backup/dirvish/main/first/tree" -H
	same after . "$root/backup/dirvish/main/second/tree" -H
}

backuppc_keeps() {
	cp -r "$root/root/.ssh" "$root/var/lib/backuppc/"
	inside chown -R backuppc: /var/lib/backuppc/.ssh
	inside install -d -o backuppc /run/backuppc
	printf 'host dhcp user\nmain 0 backuppc\n' >"$root/etc/backuppc/hosts"
	printf '%s\n' "\$Conf{XferMethod} = 'rsync';" "\$Conf{RsyncShareName} = ['/'];" "\$Conf{RsyncSshArgs} = ['-e', '\$sshPath -l root -p 2222'];" \
		"\$Conf{BackupsDisable} = 1; # but by hand" >"$root/etc/backuppc/main.pl"
	# There is no Samba, and its ping is not root's.
	printf '%s\n' "\$Conf{SmbClientPath} = '';" "\$Conf{NmbLookupPath} = '';" >>"$root/etc/backuppc/config.pl"
	echo 0 65535 >/proc/sys/net/ipv4/ping_group_range
	run as_backuppc /usr/share/backuppc/bin/BackupPC -d
	for _ in {1..600}; do
		[ ! -S "$root/run/backuppc/BackupPC.sock" ] || break
		sleep 0.1
	done
	run as_backuppc /usr/share/backuppc/bin/BackupPC_dump -v -f main
	serve after
	run as_backuppc /usr/share/backuppc/bin/BackupPC_dump -v -i main
	local n=0 state
	for state in before after; do
		mkdir -p "$root/backup/backuppc/$state"
		as_backuppc /usr/share/backuppc/bin/BackupPC_tarCreate -h main -n $n -s / / >"$work/tar"
		tar -C "$root/backup/backuppc/$state" -xpf "$work/tar"
		same $state . "$root/backup/backuppc/$state" -H --omit-dir-times # the order within the tar costs them
		n=$((n + 1))
	done
}

backupninja_keeps() {
	mkdir -p "$root/backup/ninja"
	printf '%s\n' '[general]' 'log = /var/log/ninja-rsync.log' 'mountpoint = /backup' 'backupdir = ninja' 'format = short' 'numericids = 1' \
		'[source]' 'from = remote' 'host = main' 'port = 2222' 'user = root' 'testconnect = yes' 'protocol = ssh' 'id_file = /root/.ssh/id_ed25519' \
		'include = /etc' 'include = /home' '[dest]' 'dest = local' >"$root/etc/backup.d/20.rsync"
	chmod 0600 "$root/etc/backup.d/20.rsync"
	sed -i "s/^reportemail .*/reportemail =/" "$root/etc/backupninja.conf" # there is nobody
	run inside backupninja --now --debug
	serve after
	run inside backupninja --now --debug
	for dir in etc home; do
		same before $dir "$root/backup/ninja/$dir/$dir.1" --omit-dir-times # it touches what it has rotated
		same after $dir "$root/backup/ninja/$dir/$dir.0" --omit-dir-times
	done
}

umask 022
ip link set lo up
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir "$main" "$root/run/lock" "$root/backup"
mkdir -m 0700 "$root/root/.ssh"
echo '127.0.0.1 localhost main' >"$root/etc/hosts"
ssh-keygen -q -t ed25519 -N '' -f "$root/root/.ssh/id_ed25519"
bin/rrserve --root "$main" --authorized-key "$root/root/.ssh/id_ed25519.pub" --listen 127.0.0.1:2222 --state-dir "$work/state" --read-all >"$work/log" 2>&1 &
trap '[ $? = 0 ] || tail "$work/log" >&2' EXIT
until grep -q listening "$work/log"; do
	kill -0 $! || fail "the server does not start"
	sleep 0.1
done
echo "[main]:2222 $(cat "$work/state/ssh_host_ed25519_key.pub")" >"$root/etc/ssh/ssh_known_hosts"
before
after
for tool in "$@"; do
	serve before
	"${tool}_keeps"
	! grep 'msg=refused' "$work/log" || fail "$tool asked for what is refused"
	echo "ok: $tool: the full backup and the next are what was there"
done
