# shellcheck shell=bash
# Sourced by the tests of packages: a machine that boots below $work/root, and the other one that
# pulls from it. They have one network, of which there is only loopback, and all that is
# started, mounted or listened to is gone when the namespaces are, see test-packages.sh.

readonly work=$1 root=$1/root name=$2
readonly keys=/etc/rrserve/authorized_keys env=/etc/rrserve/rrserve.env
boots=0

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# await COMMAND... until it succeeds.
await() {
	for _ in $(seq 300); do
		! "$@" 2>/dev/null || return 0
		sleep 0.1
	done
	"$@" || fail "in vain: $*; $(tail "$work/console")"
}

# boot READY [ARGUMENT...] starts the machine with arguments for systemd-nspawn, and waits for
# the command READY to succeed in it.
boot() {
	local ready=$1
	shift
	boots=$((boots + 1))
	packaging/boot-machine.sh "$root" "$name-$boots" --hostname=main "$@" </dev/null >>"$work/console" 2>&1 &
	machine=$!
	# shellcheck disable=SC2086
	await is_up $ready >"$work/out"
}

# is_up READY... also finds the machine's first process, which is not the first that
# systemd-nspawn starts.
is_up() { leader=$(pgrep -P "$machine") && inside "$@"; }

# halt ends the machine in good order.
halt() {
	kill "$machine"
	wait "$machine" || fail "the machine does not end well: $(tail "$work/console")"
}

# inside COMMAND... as root of the machine.
inside() {
	nsenter --target "$leader" --all --wdns=/root /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

# run COMMAND... keeps what it says in $work/out.
run() { inside "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "$*"; }; }

# documented TEXT runs the block of docs/packages.md that begins with it, as it stands there.
documented() {
	local block
	block=$(awk -v text="$1" '/^```$/ { on = 0 } begins && index($0, text) == 1 { on = 1 } on { print } { begins = $0 == "```sh main" }' docs/packages.md)
	[ -n "$block" ] || fail "docs/packages.md has no block that begins with $1"
	run bash -euc "$block"
}

says() { grep -q "$1" "$work/out" || { cat "$work/out" >&2; fail "it does not say: $1"; }; }
listens() { ss -Hltn 'sport = :2222' | grep -q .; }
is_closed() { ! listens; }
closed() { is_closed || fail "the port is open, $*"; }
gone() { local f; for f; do [[ ! -e $root$f && ! -L $root$f ]] || fail "$f is left"; done; }

# clients prepares the other machine, and what there is to pull.
clients() {
	mkdir -p "$root/srv/sub dir"
	echo hello >"$root/srv/sub dir/file"
	head -c 3000000 /dev/urandom >"$root/srv/large"
	ln -s 'sub dir/file' "$root/srv/link"
	ssh-keygen -q -t ed25519 -N '' -f "$work/key"
	cp "$work/key.pub" "$root/root/backup.pub"
	# The first login learns the host key; it must stay that one.
	printf 'exec ssh -p 2222 -i %q -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=%q -o LogLevel=ERROR "$@"\n' "$work/key" "$work/known_hosts" >"$work/ssh"
	# In the middle of the large file this one waits for somebody to write to the gate.
	mkfifo "$work/gate"
	printf 'set -o pipefail; bash %q "$@" | { dd bs=1k count=100 status=none; touch %q; read -r _ <%q; cat; }\n' "$work/ssh" "$work/holds" "$work/gate" >"$work/held-ssh"
}

# pull_to DIR [SHELL] makes a copy and compares it.
pull_to() {
	rm -rf "${work:?}/$1"
	rsync -azh --stats --blocking-io -e "bash $work/${2-ssh}" 'rrserve@127.0.0.1:*' "$work/$1/" >"$work/$1.out" 2>&1 || { cat "$work/$1.out" >&2; fail "the pull failed"; }
	diff -r --no-dereference "$root/srv" "$work/$1" || fail "the copy differs"
}
pull() { pull_to got; }

# across COMMAND... restarts the server in the middle of a pull, which must get to its end all the
# same. The function stopping says when the server was told to stop; meanwhile is called then.
across() {
	pull_to held held-ssh &
	local held=$! restart
	await test -e "$work/holds"
	run "$@" &
	restart=$!
	await stopping
	meanwhile
	echo >"$work/gate"
	wait $held || fail "the running pull was cut off"
	wait $restart || fail "$*"
}

# keep notes what an upgrade and a removal keep, and kept looks.
keep() { (cd "$root" && sha256sum ".$keys" ".$env" ./var/lib/rrserve/*_key) >"$work/kept"; }
kept() { (cd "$root" && sha256sum --quiet -c "$work/kept") || fail "$* did not keep keys, configuration and state"; }

# files lists what is in the machine, but for what changes by itself.
files() {
	(cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/rpm -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log/apt -o -path ./var/log/journal -o -path './var/log/*.log' -o -path ./var/lib/systemd -o -path ./tmp -o -path ./var/tmp -o -path ./root -o -path ./srv \) -prune -o -printf '%p %m %u %g\n' | sort)
}

# What the server said, by the function log, belongs to a failure.
trap '[ $? = 0 ] || log 2>/dev/null | tail >&2' EXIT
umask 022
ip link set lo up
mount -t tmpfs tmpfs /run # systemd-nspawn notes its machines there
