#!/usr/bin/env bash
# Puts a clean Debian into DIR: the smallest that debootstrap makes, and packages by name. It
# is fetched once for each list of packages, into .cache.
#
#   packaging/clean-debian.sh DIR [PACKAGE...]     (as root)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "clean-debian: $*" >&2; exit 1; }

readonly suite=bookworm
[ $# -ge 1 ] || fail "usage: packaging/clean-debian.sh DIR [PACKAGE...]"
dir=$1
shift
[ "$(id -u)" = 0 ] || fail "needs root, for debootstrap"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"

packages=$(printf '%s\n' "$@" | sort -u | paste -sd, -)
base=.cache/debian-$suite${packages:+-${packages//,/-}}.tar
if [ ! -f "$base" ]; then
	mkdir -p .cache
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	debootstrap --variant=minbase ${packages:+--include="$packages"} $suite "$work/root" >"$work/log" 2>&1 || { tail "$work/log" >&2; fail "debootstrap"; }
	rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
	tar -C "$work/root" --exclude='./dev/*' --exclude='./proc/*' -cf "$base.new.$$" .
	mv "$base.new.$$" "$base"
fi
mkdir -p "$dir"
tar -C "$dir" -xf "$base"
