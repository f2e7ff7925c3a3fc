#!/bin/sh
# Installs what the tests and the benchmark need beside Go: OpenSSH, rsync with
# rrsync, acl, attr, python3 (for rrsync), strace, fail2ban-regex, and a second,
# older rsync client which is only unpacked, into .cache/. Does nothing where all is
# there.
# With --check it installs nothing and fails when something is missing.
set -eu

cache=$(dirname "$0")/../.cache
old_version=3.2.7-1+deb12u6
old_dir=$cache/rsync-3.2.7

missing_packages() {
	have() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }
	have rsync && have rrsync || echo rsync
	have sshd || echo openssh-server
	{ have ssh && have sftp && have scp; } || echo openssh-client
	have setfacl || echo acl
	have setfattr || echo attr
	have python3 || echo python3
	have bash || echo bash
	have setpriv || echo util-linux
	have strace || echo strace
	have fail2ban-regex || echo fail2ban
}

give_up() {
	echo "test/deps.sh: $1" >&2
	exit 1
}

packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
	todo="install these packages: $packages(Debian: apt-get install --no-install-recommends $packages)"
	[ "${1-}" != --check ] || give_up "$todo"
	command -v apt-get >/dev/null || give_up "no apt-get here; $todo"
	[ "$(id -u)" = 0 ] || give_up "not root; $todo"
	apt-get update -qq
	# The packages' own services are of no use here.
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
fi

if [ ! -x "$old_dir/usr/bin/rsync" ]; then
	todo="unpack Debian's package rsync=$old_version into $old_dir (apt-get download rsync=$old_version; dpkg -x)"
	[ "${1-}" != --check ] || give_up "$todo"
	if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then give_up "no apt-get and dpkg here; $todo"; fi
	mkdir -p "$cache/download"
	(cd "$cache/download" && { apt-get download -qq "rsync=$old_version" || { apt-get update -qq && apt-get download -qq "rsync=$old_version"; }; }) >&2 ||
		give_up "apt-get does not offer it; $todo"
	rm -rf "$old_dir.new"
	dpkg -x "$cache"/download/rsync_"$old_version"_*.deb "$old_dir.new"
	mv "$old_dir.new" "$old_dir"
	rm -rf "$cache/download"
fi

"$old_dir/usr/bin/rsync" --version >/dev/null || give_up "the second client $old_dir/usr/bin/rsync does not run here (libraries: popt, lz4, zstd, xxhash)"
