#!/usr/bin/env bash
# What can be measured of docs/threat-model.md: runs each test that the page names,
# rrserve check-sandbox on this machine, ssh-audit against the server, systemd's
# judgement of the units, and govulncheck. Goes through all parts before it fails.
#
#   packaging/audit.sh [tests] [sandbox] [ssh] [units] [vulnerabilities]
#   packaging/audit.sh judge <REPORT     only judge a report of ssh-audit
#
# GOVULNDB=URL, for example file:///DIR, is a vulnerability database in place of
# https://vuln.go.dev.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
readonly govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0

say() { echo "audit: $*" >&2; }

# need COMMAND PACKAGE installs what is missing, or says how to.
need() {
	command -v "$1" >/dev/null && return
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		apt-get update -qq >&2
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >&2
	fi
	command -v "$1" >/dev/null || { say "$1 is missing (Debian: apt-get install $2)"; return 1; }
}

# package NAME is the directory of the package that the threat model calls NAME.
package() {
	case $1 in
	repo) echo . ;;
	main) echo ./cmd/rrserve ;;
	*) find ./internal ./test ./fuzz -name testdata -prune -o -type d -name "$1" -print ;;
	esac
}

tests() {
	local name dir all rc=0
	test/deps.sh || return 1
	all=$(grep -o '\b[a-z]*\.\(Test\|Fuzz\)[A-Za-z0-9]*' docs/threat-model.md | sort -u)
	[ -n "$all" ] || { say "docs/threat-model.md names no test"; return 1; }
	for name in $(cut -d. -f1 <<<"$all" | uniq); do
		dir=$(package "$name")
		# A fuzz target runs its seeds.
		$go test -count=1 "$dir" -run "^($(sed -n "s/^$name\.//p" <<<"$all" | paste -sd '|'))\$" || rc=1
	done
	return $rc
}

# served DIR makes a directory that whoever the server becomes may read, and the
# server beside it.
served() {
	chmod 0755 "$1" && mkdir "$1/root" && CGO_ENABLED=0 $go build -o "$1/rrserve" ./cmd/rrserve
}

sandbox() (
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	served "$dir" && "$dir/rrserve" check-sandbox --sandbox required --root "$dir/root"
)

# explained prints the findings of ssh-audit that are no faults, as regular
# expressions, each with its reason.
explained() {
	cat <<-'EOF'
		# Newer versions of ssh-audit know it: post-quantum and classical together, in OpenSSH since 9.9.
		^\(kex\) mlkem768x25519-sha256: unknown algorithm$
		# Newer versions know it: no algorithm, but the sign that the Terrapin attack (CVE-2023-48795) is met.
		^\(kex\) kex-strict-s-v00@openssh\.com: unknown algorithm$
		# Newer versions say so. Older clients have nothing else; newer ones take the one above.
		^\(kex\) curve25519-sha256(@libssh\.org)?: does not provide protection against post-quantum attacks$
	EOF
}

# judge reads a report of ssh-audit and fails on a finding that is not explained,
# or when there are no algorithms in it. A finding beneath another has no name of
# its own.
judge() {
	local report findings
	report=$(cat)
	grep -q '^(kex) ' <<<"$report" || { printf '%s\n' "$report" >&2; say "ssh-audit saw no algorithms"; return 1; }
	findings=$(awk '/^\([a-z]+\) / { name = $1 " " $2 } match($0, /\[(warn|fail)\] /) { print name ": " substr($0, RSTART + RLENGTH) }' <<<"$report")
	if grep -vE -f <(explained | grep -v '^#') <<<"$findings" | grep . >&2; then
		say "ssh-audit finds what is not explained in packaging/audit.sh"
		return 1
	fi
}

# ssh looks at both lists of ciphers that the server chooses between by its CPU,
# and at both types of host key.
ssh() (
	need ssh-audit ssh-audit && need ssh-keygen openssh-client || exit 1
	dir=$(mktemp -d)
	pid=
	trap 'if [ -n "$pid" ]; then kill "$pid"; fi; rm -rf "$dir"' EXIT
	served "$dir" &&
		ssh-keygen -q -t ed25519 -N '' -f "$dir/ed25519" &&
		ssh-keygen -q -t rsa -b 3072 -N '' -f "$dir/rsa" || exit 1
	for ciphers in aes128-gcm@openssh.com,aes256-gcm@openssh.com chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com; do
		"$dir/rrserve" --root "$dir/root" --authorized-key "$dir/ed25519.pub" --listen 127.0.0.1:0 \
			--host-key "$dir/ed25519" --host-key "$dir/rsa" --ciphers "$ciphers" 2>"$dir/log" &
		pid=$!
		port=
		for _ in $(seq 200); do
			port=$(sed -n 's/.*msg=listening address=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/log")
			[ -z "$port" ] || break
			sleep 0.05
		done
		[ -n "$port" ] || { cat "$dir/log" >&2; say "the server does not listen"; exit 1; }
		# Its exit status says that there are findings, which judge knows better.
		ssh-audit -n -p "$port" 127.0.0.1 >"$dir/report" || true
		sed -n '/^(\(kex\|key\|enc\|mac\)) /p' "$dir/report"
		judge <"$dir/report" || exit 1
		kill "$pid"
		wait "$pid" || exit 1
		pid=
	done
)

units() {
	need systemd-analyze systemd && packaging/test-units.sh
}

vulnerabilities() (
	db=${GOVULNDB:-https://vuln.go.dev}
	bin=$(mktemp -d)
	trap 'rm -rf "$bin"' EXIT
	GOBIN=$bin $go install $govulncheck || { say "$govulncheck cannot be had"; exit 1; }
	rc=0
	CGO_ENABLED=0 "$bin/govulncheck" -db "$db" ./... || rc=$?
	case $rc in
	0) ;;
	3) say "govulncheck: the code calls what is known to be vulnerable" ;;
	*) say "govulncheck could not look: is $db there? It takes the network, or GOVULNDB=file:///DIR with a copy of the database" ;;
	esac
	exit "$rc"
)

if [ "${1-}" = judge ]; then
	judge
	exit
fi
failed=
[ $# -gt 0 ] || set -- tests sandbox ssh units vulnerabilities
for part; do
	case $part in tests | sandbox | ssh | units | vulnerabilities) ;; *) say "no part $part"; exit 2 ;; esac
	echo "== $part"
	"$part" || failed="$failed $part"
done
[ -z "$failed" ] || { say "failed:$failed"; exit 1; }
echo "ok: $*"
