#!/usr/bin/env bash
# Boots Debian's kernels for other processors in qemu and looks whether the sandbox holds there: the
# tests of internal/jail, rrserve check-sandbox, and a pull from a server that requires it. On
# arm-on-arm64 programs of 32 bits run on a kernel of 64, as on many a Raspberry Pi.
#
#   packaging/test-platforms.sh [PLATFORM...]      arm, arm-on-arm64, arm64, riscv64; without one, all
#
# Kernels and busybox are fetched once, into .cache, and not installed. Needs no root, and a machine
# that is a Debian itself.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "test-platforms: $*" >&2; exit 1; }

readonly suite=trixie limit=600 # seconds for one machine
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
: "${GO:=go}"
for need in qemu-system-arm qemu-system-aarch64 qemu-system-riscv64 cpio apt-get dpkg-deb ssh-keygen; do
	command -v $need >/dev/null || fail "$need is missing: apt-get install qemu-system-arm qemu-system-misc cpio openssh-client"
done
[ -r $keyring ] || fail "$keyring is missing: apt-get install debian-archive-keyring"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fetch ARCH gets Debian's kernel and busybox for ARCH into .cache/platform-ARCH, with a state of apt's own.
fetch() {
	local arch=$1 apt=$work/apt-$1 to=.cache/platform-$1
	[ ! -d "$to" ] || return 0
	mkdir -p "$apt"/{etc/apt.conf.d,etc/preferences.d,lists/partial,cache/archives/partial,debs,platform}
	: >"$apt/status"
	echo "deb [signed-by=$keyring] http://deb.debian.org/debian $suite main" >"$apt/etc/sources.list"
	cat >"$apt/conf" <<-EOF
		APT::Architecture "$arch"; APT::Architectures { "$arch"; }; APT::Sandbox::User "";
		Dir::State "$apt"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache"; Dir::Etc "$apt/etc"; Dir::Log "$apt";
	EOF
	(
		export APT_CONFIG=$apt/conf
		cd "$apt/debs"
		apt-get -qq update
		image=$(apt-cache depends "linux-image-${arch/armhf/armmp}" | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p')
		apt-get -qq download "$image" busybox-static
	)
	dpkg-deb --fsys-tarfile "$apt"/debs/linux-image-*.deb | tar -xO --wildcards './boot/vmlinu*' >"$apt/platform/kernel"
	dpkg-deb --fsys-tarfile "$apt"/debs/busybox-*.deb | tar -xO ./usr/bin/busybox >"$apt/platform/busybox"
	mkdir -p .cache
	mv "$apt/platform" "$to"
}

# machine GOARCH ARCH writes what a machine starts with: the binary, the tests, and an init.
machine() {
	local root=$work/root
	rm -rf "$root"
	mkdir -p "$root"/{bin,etc,proc,dev,tmp,srv,state,jail}
	GOOS=linux GOARCH=$1 GOARM=7 CGO_ENABLED=0 "$GO" build -trimpath -ldflags='-s -w' -o "$root/bin/rrserve" ./cmd/rrserve
	GOOS=linux GOARCH=$1 GOARM=7 CGO_ENABLED=0 "$GO" test -c -o "$root/jail/jail.test" ./internal/jail
	install -m 0755 ".cache/platform-$2/busybox" "$root/bin/busybox"
	echo 'nobody:x:65534:65534::/:/bin/false' >"$root/etc/passwd"
	ssh-keygen -q -t ed25519 -N '' -f "$root/etc/id"
	cat >"$root/init" <<-'EOF'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t tmpfs -o mode=1777 tmp /tmp; mount -t tmpfs srv /srv
		ip link set lo up
		test_all() {
			uname -srm; rrserve version
			(cd /jail && ./jail.test) || return
			rrserve check-sandbox --root /srv --read-all || return
			for i in $(seq 100); do mkdir /srv/$i; seq $i 9999 >/srv/$i/file; done
			server='--root /srv --authorized-key /etc/id.pub --listen 127.0.0.1:2222 --state-dir /state'
			rrserve $server --sandbox=required --log-level=warn &
			until rrserve healthcheck --listen 127.0.0.1:2222 2>/dev/null; do kill -0 $! || return; sleep 1; done
			grep '^Seccomp:' /proc/$!/status
			rrserve check $server --pull --identity /etc/id || return
			kill $! && wait $!
		}
		test_all && echo 'the sandbox holds here'
		poweroff -f
	EOF
	chmod 0755 "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$work/initrd"
}

# boot GOARCH ARCH KERNEL CONSOLE QEMU... runs the binary for GOARCH on the kernel for KERNEL.
boot() {
	local kernel=.cache/platform-$3/kernel console=$4 log=$work/log
	fetch "$2"
	fetch "$3"
	machine "$1" "$2"
	shift 4
	timeout $limit "$@" -M virt -smp 1 -m 768 -nographic -nodefaults -no-reboot -serial stdio \
		-kernel "$kernel" -initrd "$work/initrd" -append "console=$console quiet panic=-1" </dev/null >"$log" 2>&1 || true
	grep -aq '^the sandbox holds here' "$log" || { cat "$log" >&2; fail "$platform: see above"; }
	echo "ok: $platform, $(grep -a -m 1 '^Linux ' "$log")"
}

[ $# -gt 0 ] || set -- arm arm-on-arm64 arm64 riscv64
for platform; do
	case $platform in
	arm) boot arm armhf armhf ttyAMA0 qemu-system-arm -cpu cortex-a15 ;;
	arm-on-arm64) boot arm armhf arm64 ttyAMA0 qemu-system-aarch64 -cpu cortex-a57 ;;
	arm64) boot arm64 arm64 arm64 ttyAMA0 qemu-system-aarch64 -cpu cortex-a57 ;;
	riscv64) boot riscv64 riscv64 riscv64 ttyS0 qemu-system-riscv64 ;;
	*) fail "$platform is none of arm, arm-on-arm64, arm64 and riscv64" ;;
	esac
done
