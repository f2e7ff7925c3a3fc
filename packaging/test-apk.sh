#!/usr/bin/env bash
# Looks at the .apk of $1, and tries what is in it in a clean Debian with busybox and OpenRC, started
# as Alpine does; apk itself is not in Debian. Started by test-packages.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/machine.sh

readonly logfile=$root/var/log/rrserve/rrserve.log state=$root/var/lib/rrserve
apk=("$work"/old/*.apk)

log() { cat "$logfile"; }
unpack() { tar --warning=no-unknown-keyword --exclude='.*' -C "$root" -xzf "$@"; }
scripted() { run busybox sh "/root/$1"; }

stopping() { grep -q msg=stopping "$logfile"; }
meanwhile() { await is_closed; }
serves() { # unless the pull begins before the port is open
	await listens
	pull
}

# The package is two archives, compressed one by one; the first has the sum of the second.
info=$(tar --warning=no-unknown-keyword -xOzf "${apk[0]}" .PKGINFO)
field() { sed -n "s/^$1 = //p" <<<"$info"; }
[ "$(field pkgname)" = rrserve ] || fail "pkgname = $(field pkgname)"
[ "$(field arch)" = "$(uname -m)" ] || fail "arch = $(field arch)"
[[ $(field pkgver) =~ ^[0-9]+(\.[0-9]+)*[a-z]?(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*-r[0-9]+$ ]] || fail "pkgver = $(field pkgver)"
sum() { tail -c +$(($1 + 1)) "${apk[0]}" | sha256sum | cut -d ' ' -f 1; }
mapfile -t offsets < <(LC_ALL=C grep -obUaP '\x1f\x8b\x08' "${apk[0]}" | cut -d : -f 1)
for offset in "${offsets[@]}"; do
	[ "$(sum "$offset")" != "$(field datahash)" ] || found=$offset
done
[ "${found-0}" -gt 0 ] || fail "datahash is of no part of it"
mkdir "$work/control"
head -c "$found" "${apk[0]}" | gzip -dc | tar --warning=no-unknown-keyword --ignore-zeros -C "$work/control" -xf -
[ "$(ls -A "$work/control")" = $'.PKGINFO\n.post-install\n.pre-deinstall' ] || fail "the first part holds $(ls -A "$work/control")"
tail -c +$((found + 1)) "${apk[0]}" | gzip -dc | tar --warning=no-unknown-keyword -tvf - | awk '$2 != "root/root" || $1 !~ /^(-rw-r--r--|[-d]rwxr-xr-x)$/' >"$work/out"
[ ! -s "$work/out" ] || fail "these should be root's, and nobody else's to write: $(cat "$work/out")"
echo "ok: the .apk is what apk expects"

# As Alpine has it.
ln -sf busybox "$root/bin/sh"
ln -sf ../bin/busybox "$root/sbin/init"
printf '::sysinit:/sbin/openrc %s\n' sysinit boot >"$root/etc/inittab"
printf '%s\n' '::wait:/sbin/openrc default' '::shutdown:/sbin/openrc shutdown' >>"$root/etc/inittab"
boot_openrc() { boot 'grep -qx default /run/openrc/softlevel' --kill-signal=SIGUSR2; }
boot_openrc
clients
cp "$work/control"/.p* "$root/root"

unpack "${apk[0]}"
scripted .post-install
says 'nobody can log in yet'
inside rc-service rrserve start >"$work/out" 2>&1 && fail "it started without a key"
says "nobody can log in yet: put the public key of the machine that pulls into $keys"
inside rc-service --quiet rrserve status >/dev/null 2>&1 && fail "it runs without a key"
closed "and there is no key"
! inside rc-update show | grep rrserve || fail "it is enabled"
gone /var/lib/rrserve /var/log/rrserve
echo "ok: it is not enabled, and does not start without a key"

cp "$work/key.pub" "$root$keys"
echo RRSERVE_ROOT=/srv >>"$root$env"
scripted .post-install
[ ! -s "$work/out" ] || fail "with a key it says: $(cat "$work/out")"
run rc-update add rrserve
run rc-service rrserve start
serves
pid=$(pgrep -x rrserve)
[ "$(stat -c %u "/proc/$pid")" = 65534 ] || fail "the server is the user $(stat -c %u "/proc/$pid"), and not nobody"
grep -qx $'CapPrm:\t0000000000000000' "/proc/$pid/status" || fail "the server has capabilities"
[ "$(stat -c '%u %a' "$state" "$state/ssh_host_ed25519_key")" = $'0 700\n0 600' ] || fail "others can read the state"
grep -q 'the sandbox holds' "$logfile" || fail "no sandbox"
run rc-service rrserve check
says 'no problems'
keep
echo "ok: with a key it serves, as nobody"

run rc-service rrserve reload
await grep -q 'there is no configuration file to read again' "$logfile"
[ "$(pgrep -x rrserve)" = "$pid" ] || fail "the reload was a restart"
kill -9 "$pid"
others() { pgrep -x rrserve | grep -qvx "$pid"; }
await others
serves
halt
boot_openrc
serves
echo "ok: it reads its configuration again, and is there again after a crash and after a boot"

unpack "$work"/new/*.apk --exclude=rrserve.env # which apk keeps, as it was changed
: >"$logfile"
across rc-service rrserve restart
serves
kept "the restart"
echo "ok: a restart cuts no pull off"

run rc-service rrserve stop
closed "and the service was stopped"
run rc-service rrserve start
serves
scripted .pre-deinstall
closed "and the package is removed"
! pgrep -x rrserve || fail "the server still runs"
! inside rc-update show | grep rrserve || fail "it is still enabled"
kept "the removal"
echo "ok: removal stops and disables it"
