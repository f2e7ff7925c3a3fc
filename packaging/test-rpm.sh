#!/usr/bin/env bash
# Installs the .rpm of $1 in a clean Debian that runs systemd, pulls, upgrades and erases: its scripts
# really run. Started by test-packages.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/machine.sh
. packaging/machine-systemd.sh

# That the packages it needs are not there as .rpm, and that this is a Debian, must not matter.
rpm() { run rpm --nodeps --force-debian "$@"; }

# As in Fedora: what a package brings is not started by itself.
mkdir -p "$root/usr/lib/systemd/system-preset"
echo 'disable *' >"$root/usr/lib/systemd/system-preset/99-default-disable.preset"
boot_systemd
clients
cp "$root/etc/passwd" "$work/passwd"
files >"$work/before"
cp "$work"/old/*.rpm "$root/root/old.rpm"
cp "$work"/new/*.rpm "$root/root/new.rpm"

rpm --install old.rpm
says 'nobody can log in yet'
cmp "$work/passwd" "$root/etc/passwd" || fail "there are other users"
inside systemctl is-enabled --quiet rrserve.service rrserve.socket && fail "enabled against the presets"
run rpm --verify --nodeps rrserve
[ ! -s "$work/out" ] || fail "rpm --verify: $(cat "$work/out")"
waits_for_key
echo "ok: the .rpm is installed, and nothing starts without a key"

documented 'cp backup.pub'
serves
boots_again
keep
echo "ok: with a key it serves, as a user of its own, and after a boot too"

upgrades rpm --upgrade new.rpm
[ "$(inside systemctl is-enabled rrserve.service rrserve.socket)" = $'enabled\nenabled' ] || fail "the upgrade disabled it"
pull
echo "ok: an upgrade starts it again and cuts no pull off; it keeps keys, configuration and state"

rpm --erase rrserve
removed
[ -f "$root$env.rpmsave" ] || fail "$env is not kept"
mv "$root$env.rpmsave" "$root$env"
kept "the removal"
documented 'rm -rf'
files | diff "$work/before" - || fail "something is left"
halt
echo "ok: removal leaves keys, configuration and state, and nothing else"
