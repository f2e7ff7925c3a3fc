# shellcheck shell=bash disable=SC2154
# What the tests of .deb and .rpm have in common, after machine.sh.

boot_systemd() { boot 'systemctl is-system-running'; }
log() { inside journalctl --unit=rrserve --output=cat; }
shows() { inside systemctl show --value --property="$1" rrserve.service; }

stopping() { [ "$(shows ActiveState)" = deactivating ]; }
meanwhile() {
	[ "$(shows StatusText)" = "Sessions running: 1" ] || fail "systemd is told: $(shows StatusText)"
	pull_to later &
	later=$!
}

# waits_for_key is how it is after the installation.
waits_for_key() {
	run systemctl start rrserve.service
	inside systemctl is-active --quiet rrserve.service rrserve.socket && fail "it started without a key"
	closed "and there is no key"
	inside systemctl status --no-pager rrserve.service >"$work/out" && fail "it runs without a key"
	says 'skipped because no trigger condition checks were met'
	gone /var/lib/rrserve
}

# serves looks at the service that was just started.
serves() {
	local pid uid state=$root/var/lib/rrserve
	run systemctl status --no-pager rrserve.service rrserve.socket
	says 'Active: active (running)'
	says 'Sessions running: 0'
	pid=$(shows MainPID)
	uid=$(inside stat -c %u "/proc/$pid")
	((uid >= 61184 && uid <= 65519)) || fail "the server is the user $uid, and not one that systemd made up"
	[ "$(inside sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" = 0000000000000000 ] || fail "the server has capabilities"
	[ "$(readlink "$state")" = private/rrserve ] || fail "/var/lib/rrserve is not where systemd keeps state of such users"
	[ "$(stat -L -c '%u %a' "$state")" = "$uid 700" ] || fail "/var/lib/rrserve: $(stat -L -c '%u %a' "$state")"
	[ "$(stat -c '%u %a' "$state/ssh_host_ed25519_key")" = "$uid 600" ] || fail "the host key: $(stat -c '%u %a' "$state/ssh_host_ed25519_key")"
	log >"$work/out"
	says 'the sandbox holds'
	pull
}

boots_again() {
	halt
	boot_systemd
	pull
}

# upgrades COMMAND...
upgrades() {
	local pid
	pid=$(shows MainPID)
	across "$@"
	wait "$later" || fail "who came meanwhile was not served"
	grep -q 'nobody can log in yet' "$work/out" && fail "the upgrade asks for a key that is there"
	[ "$(shows MainPID)" != "$pid" ] || fail "the upgrade did not start the server again"
	[ "$(shows ActiveState)" = active ] || fail "after the upgrade the server is $(shows ActiveState)"
	kept "the upgrade"
}

removed() {
	gone /usr/bin/rrserve /usr/lib/systemd/system/rrserve.service /usr/lib/systemd/system/rrserve.socket
	closed "and the package is removed"
	! pgrep -x rrserve >/dev/null || fail "the server still runs"
	! inside systemctl is-failed rrserve.service rrserve.socket >/dev/null || fail "the service failed"
}
