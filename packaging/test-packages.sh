#!/usr/bin/env bash
# Installs the .deb of `make packages` in a clean Debian, pulls from what is there as
# its unit would start it, upgrades, removes and purges. systemd does not run in it, so that it
# starts nothing by itself.
#
#   packaging/test-packages.sh     (as root)
set -euo pipefail
cd "$(dirname "$0")/.."

readonly keys=/etc/rrserve/authorized_keys env=/etc/rrserve/rrserve.env state=/var/lib/rrserve
readonly wants=/etc/systemd/system/multi-user.target.wants/rrserve.service

fail() { echo "test-packages: $*" >&2; exit 1; }

# within runs in its own mount, network and process namespaces: what it starts and
# mounts is gone when it returns.
within() {
	local work=$1 root=$1/root
	ip link set lo up
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mkdir -p "$work/tree/sub dir" "$root/tmp"
	echo hello >"$work/tree/sub dir/file"
	head -c 3000000 /dev/urandom >"$work/tree/large"
	ln -s 'sub dir/file' "$work/tree/link"
	cp -a "$work/tree" "$root/srv/"
	cp "$work"/*.deb "$root/tmp"
	ssh-keygen -q -t ed25519 -N '' -f "$work/key"

	local inside=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive)
	# dpkg ARG... keeps what it says in $work/out.
	dpkg() { "${inside[@]}" dpkg "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "dpkg $*"; }; }
	exists() { local f; for f; do [ -e "$root$f" ] || [ -L "$root$f" ] || fail "$f is gone"; done; }
	# files lists all but what dpkg and its helpers keep for themselves.
	files() { (cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./proc -o -path ./dev -o -path ./tmp -o -path ./var/lib/systemd \) -prune -o -printf '%p %m %u %g\n' | sort); }

	# start runs what the unit says, as systemd would.
	start() {
		local unit=$root/usr/lib/systemd/system/rrserve.service vars
		mapfile -t vars < <(sed -n 's/^Environment=//p' "$unit"; grep '^[A-Z]' "$root$env" || :)
		"${inside[@]}" "${vars[@]}" RRSERVE_LISTEN=127.0.0.1:2222 "$(sed -n 's/^ExecStart=//p' "$unit")" >"$work/log" 2>&1 &
		pid=$!
	}
	pull() {
		start
		for _ in $(seq 200); do
			! ss -Hltn 'sport = :2222' | grep -q . || break
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		rm -rf "$work/got"
		rsync -azh --stats -e "ssh -p 2222 -i $work/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" \
			'rrserve@127.0.0.1:*' "$work/got/" >"$work/out" || { cat "$work/log" >&2; fail "the pull failed"; }
		diff -r "$work/tree" "$work/got" || fail "the copy differs"
		kill "$pid"
		wait "$pid" || fail "the server ends with $?"
	}

	files >"$work/before"
	cp "$root/etc/passwd" "$work/passwd"
	dpkg --install /tmp/old.deb
	grep -q 'nobody can log in yet' "$work/out" || fail "the installation does not say that a key is missing"
	cmp "$work/passwd" "$root/etc/passwd" || fail "there are other users"
	exists "$wants" /etc/systemd/system/sockets.target.wants/rrserve.socket
	dpkg --verify rrserve
	[ ! -s "$work/out" ] || fail "dpkg --verify: $(cat "$work/out")"
	files | comm -13 "$work/before" - | grep -v ' 777 root root$' | grep -vE ' (644|755) root root$' && fail "these should be root's, and nobody else's to write"
	for unit in service socket; do
		grep -qx "ConditionPathExists=|$keys" "$root/usr/lib/systemd/system/rrserve.$unit" || fail "rrserve.$unit starts without a key"
	done
	start
	rc=0
	wait "$pid" || rc=$?
	if [ $rc != 78 ] || ! grep -q "$keys: no such file" "$work/log"; then
		cat "$work/log" >&2
		fail "without a key: exit status $rc, want 78"
	fi
	echo "ok: installed, enabled, no user made, and nothing starts without a key"

	cp "$work/key.pub" "$root$keys"
	echo RRSERVE_ROOT=/srv/tree >>"$root$env"
	pull
	exists $state/ssh_host_ed25519_key
	(cd "$root" && sha256sum ".$keys" ".$env" .$state/*key) >"$work/kept"
	kept() { (cd "$root" && sha256sum --quiet -c "$work/kept") || fail "$1 did not keep keys, configuration and state"; }
	echo "ok: a pull from the installed program"

	rm "$root$wants" # as systemctl disable does
	dpkg --install /tmp/new.deb
	grep -q 'nobody can log in yet' "$work/out" && fail "the upgrade asks for a key that is there"
	kept "the upgrade"
	[ ! -e "$root$wants" ] || fail "the upgrade enabled what was disabled"
	pull
	kept "the upgrade"
	echo "ok: an upgrade keeps keys, configuration and state, and what was disabled"

	dpkg --remove rrserve
	[ ! -e "$root/usr/bin/rrserve" ] || fail "the program is still there"
	kept "the removal"
	echo "ok: removal leaves keys, configuration and state"

	# As systemd has it where it makes up the user.
	mkdir -p "$root/var/lib/private" "$root/var/log/private/rrserve"
	mv "$root$state" "$root/var/lib/private/rrserve"
	ln -s private/rrserve "$root$state"
	dpkg --purge rrserve
	rmdir "$root/var/lib/private" "$root/var/log/private" || fail "state is left"
	rm -rf "$root/srv/tree"
	files | diff <(grep -v '^\./srv/tree' "$work/before") - || fail "the purge left something"
	echo "ok: purge takes them, and leaves nothing"
}

if [ "${1-}" = --within ]; then
	within "$2"
	exit
fi

[ "$(id -u)" = 0 ] || fail "needs root, for namespaces"
for tool in unshare chroot dpkg-deb ip ss rsync ssh ssh-keygen; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install util-linux dpkg iproute2 rsync openssh-client"
done
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
debs=(dist/rrserve_*_"$arch".deb)
if [ ! -f "${debs[0]}" ] || [ ${#debs[@]} != 1 ]; then fail "no dist/rrserve_*_$arch.deb: make packages"; fi

work=$(mktemp -d)
chmod 0755 "$work"
trap 'rm -rf "$work"' EXIT

packaging/clean-debian.sh "$work/root"

# The newer one is the same but for its version.
cp "${debs[0]}" "$work/old.deb"
dpkg-deb -R "$work/old.deb" "$work/newer"
sed -i 's/^Version: .*/Version: 9999/' "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/newer" "$work/new.deb" >/dev/null

unshare --mount --net --pid --fork --kill-child "$0" --within "$work"
