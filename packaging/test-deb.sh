#!/usr/bin/env bash
# Installs the .deb of $1 in a clean Debian that runs systemd, says what docs/packages.md says, pulls,
# upgrades, removes and purges. Started by test-packages.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/machine.sh
. packaging/machine-systemd.sh

boot_systemd
clients
files >"$work/before"
cp "$root/etc/passwd" "$work/passwd"
cp "$work"/old/*.deb "$root/root"

documented 'apt install'
says 'nobody can log in yet'
cmp "$work/passwd" "$root/etc/passwd" || fail "there are other users"
[ "$(inside systemctl is-enabled rrserve.service rrserve.socket)" = $'enabled\nenabled' ] || fail "not enabled"
run dpkg --verify rrserve
[ ! -s "$work/out" ] || fail "dpkg --verify: $(cat "$work/out")"
files | comm -13 "$work/before" - | grep -v ' 777 root root$' | grep -vE ' (644|755) root root$' && fail "these should be root's, and nobody else's to write"
waits_for_key
echo "ok: the .deb is installed, enabled, no user made, and nothing starts without a key"

documented 'cp backup.pub'
serves
boots_again
keep
echo "ok: with a key it serves, as a user of its own, and after a boot too"

run systemctl disable rrserve.service
cp "$work"/new/*.deb "$root/root/new.deb"
upgrades dpkg --install new.deb
[ "$(inside systemctl is-enabled rrserve.service rrserve.socket)" = $'disabled\ndisabled' ] || fail "the upgrade enabled what was disabled"
echo "ok: an upgrade starts it again and cuts no pull off; it keeps keys, configuration and state, and what was disabled"

documented 'systemctl stop'
closed "and the service was stopped"
run systemctl start rrserve.service
run apt remove -y rrserve
removed
kept "the removal"
echo "ok: removal stops it, and leaves keys, configuration and state"

documented 'apt purge'
files | diff "$work/before" - || fail "the purge left something"
halt
echo "ok: purge takes them, and leaves nothing"
