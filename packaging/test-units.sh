#!/usr/bin/env bash
# Asks systemd about the units: whether they are well formed, and how much the
# server could do to the machine (0 nothing .. 10 everything). Needs systemd
# installed, not running.
set -euo pipefail
cd "$(dirname "$0")/.."

# What a server that shows the true owners of files cannot do without: the
# machine's own users (0.2), its file system (0.1) and homes to read (0.1), and
# no list of addresses, since it would be yours (0.2). ProtectClock= adds the
# real-time clock to the devices (0.1), and the socket of systemd is a local one
# (0.1). Together, and rounded once, that is 0.6; read-all.conf adds its
# capability (0.3).
readonly threshold=10 # tenths

command -v systemd-analyze >/dev/null || { echo "test-units: apt-get install systemd" >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

version=$(systemd-analyze --version | awk 'NR == 1 { print $2 + 0 }')
known='' # what this systemd would only warn of is not shown to it
[ "$version" -ge 253 ] || known='/^Type=notify-reload$/d'
# The programs need not be installed where the units say.
for unit in packaging/systemd/rrserve.{service,socket} examples/pull/rrserve-pull.service examples/pull/rrserve-pull.timer; do
	sed -e 's|^ExecStart=.*|ExecStart=/bin/true|' -e "$known" "$unit" >"$dir/$(basename "$unit")"
done
verify() {
	local out
	out=$(systemd-analyze verify "$@" 2>&1) || { printf '%s\n' "$out" >&2; exit 1; }
	[ -z "$out" ] || { printf 'test-units: %s\n' "$out" >&2; exit 1; }
}
security() { # security UNIT: the last line of the report, or the whole report
	local out
	out=$(systemd-analyze security --offline=yes --no-pager --threshold=$threshold "$1") || { grep -v '^✓' <<<"$out" >&2; exit 1; }
	tail -n 1 <<<"$out"
}
verify "$dir"/*.service "$dir"/*.socket "$dir"/*.timer
security "$dir/rrserve.service"
cat packaging/systemd/read-all.conf >>"$dir/rrserve.service" # as the drop-in does
verify "$dir/rrserve.service"
security "$dir/rrserve.service"
sed -e 's|^ExecStart=.*|ExecStart=/bin/true|' -e "$known" packaging/systemd/rrserve.service | cat - packaging/systemd/snapshot.conf >"$dir/snapshot.service"
verify "$dir/snapshot.service"
grep -q '^Type=notify-reload$' packaging/systemd/rrserve.service
grep -q '^AmbientCapabilities=CAP_DAC_READ_SEARCH$' "$dir/rrserve.service"
echo "ok: the units are well formed"
