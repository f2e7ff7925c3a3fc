#!/usr/bin/env bash
# Tries the packages of `make packages`, each in a clean machine that boots:
#
#   packaging/test-packages.sh [deb] [rpm] [apk]     (as root)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "test-packages: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "needs root, for namespaces"
for tool in unshare nsenter systemd-nspawn pgrep ip ss rsync ssh ssh-keygen; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install util-linux systemd-container procps iproute2 rsync openssh-client"
done
[ $# -gt 0 ] || set -- deb rpm apk

case $(uname -m) in
x86_64) arch=amd64 names='amd64.deb x86_64.rpm x86_64.apk' ;;
aarch64) arch=arm64 names='arm64.deb aarch64.rpm aarch64.apk' ;;
*) fail "there is no package for $(uname -m)" ;;
esac
all=$(mktemp -d)
chmod 0755 "$all"
cleanup() {
	rm -rf "$all"
	for group in /sys/fs/cgroup/{,*/}"${all##*/}"-*; do
		[ ! -d "$group" ] || find "$group" -depth -type d -delete
	done
}
trap cleanup EXIT
mkdir "$all/old" "$all/new"
for name in $names; do
	found=(dist/rrserve[-_]*[._]"$name")
	if [ ! -f "${found[0]}" ] || [ ${#found[@]} != 1 ]; then fail "no dist/rrserve*$name, or several: make packages"; fi
	cp "${found[0]}" "$all/old"
done

# The newer ones are the same but for their version.
cp "dist/linux-$arch/rrserve" bin/package/rrserve
chmod 0755 bin/package/rrserve
for format in "$@"; do
	ARCH=$arch VERSION=9999.0.0 MAINTAINER=nobody bin/nfpm package --config packaging/nfpm.yaml --packager "$format" --target "$all/new" >/dev/null
done

for format in "$@"; do
	case $format in
	deb) packages='systemd systemd-sysv' ;;
	rpm) packages='systemd systemd-sysv rpm' ;;
	apk) packages='openrc busybox' ;;
	*) fail "the format $format; allowed are deb, rpm and apk" ;;
	esac
	# shellcheck disable=SC2086
	packaging/clean-debian.sh "$all/$format/root" $packages
	cp -r "$all/old" "$all/new" "$all/$format"
	timeout 240 unshare --mount --net --pid --fork --mount-proc --kill-child "packaging/test-$format.sh" "$all/$format" "${all##*/}-$format"
	rm -rf "${all:?}/$format"
done
