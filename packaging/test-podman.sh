#!/usr/bin/env bash
# Runs the image with rootless podman, as an ordinary user of the machine: root
# read-only, no capabilities, the image's uid, any other, and the documented one
# that reads everything. A stock rsync pulls each time.
#
#   packaging/test-podman.sh IMAGE     (as root, which plays the user)
set -euo pipefail

readonly uid=4242 first=100000 # the user, and where the user's containers have theirs

fail() {
	echo "test-podman: $*" >&2
	[ ! -e "$work/log" ] || cat "$work/log" >&2
	exit 1
}

# within runs in its own mount, network and process namespaces: what it starts
# and mounts is gone when it returns. Without systemd podman has nobody who runs
# the health check each minute, says so as an error, and goes on.
within() {
	local image=$1
	ip link set lo up
	echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start # docs/container.md
	mount -t cgroup2 cgroup2 /sys/fs/cgroup               # crun refuses v1 beside v2
	mount --make-rshared /
	mount -t tmpfs tmpfs /dev/shm # for its locks
	echo "tester:$first:65536" >"$work/subid"
	{ cat /etc/passwd; echo "tester:x:$uid:$uid::$work/home:/bin/sh"; } >"$work/passwd"
	touch /etc/subuid /etc/subgid
	mount --bind "$work/subid" /etc/subuid
	mount --bind "$work/subid" /etc/subgid
	mount --bind "$work/passwd" /etc/passwd
	cd "$work/home"

	podman() {
		setpriv --reuid=$uid --regid=$uid --clear-groups env -i HOME="$work/home" XDG_RUNTIME_DIR="$work/run" PATH="$PATH" \
			podman --log-level=fatal --cgroup-manager=cgroupfs "$@"
	}
	serve() { # serve ARGS...: podman's, for a server without anything
		podman run --detach --name=server --read-only --cap-drop=all --security-opt=no-new-privileges \
			--network=host --cgroups=disabled --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096 \
			-v "$work/tree:/data:ro" "$@" >/dev/null
		for _ in $(seq 200); do
			podman logs server >"$work/log" 2>&1
			ss -Hltn 'sport = :22' | grep -q . && return
			[ "$(podman inspect --format '{{.State.Running}}' server)" = true ] || break
			sleep 0.05
		done
		fail "the server does not listen on port 22"
	}
	runs_as() { # runs_as UID CAPABILITIES
		local status
		status=/proc/$(podman inspect --format '{{.State.Pid}}' server)/status
		grep -qE "^Uid:(.$1){4}\$" "$status" || fail "not uid $1: $(grep ^Uid "$status")"
		[ "$(grep -cE "^Cap(Prm|Eff|Bnd):.$2\$" "$status")" = 3 ] || fail "capabilities are not $2: $(grep ^Cap "$status")"
		grep -q 'msg="the sandbox holds"' "$work/log" || fail "no sandbox"
	}
	pull() {
		rm -rf "$work/got"
		rsync -azh --stats -e "ssh -i $work/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" \
			'rrserve@127.0.0.1:*' "$work/got/" >/dev/null || fail "the pull failed"
		diff -r "$work/tree" "$work/got" || fail "the copy differs"
	}
	stop() {
		podman stop --time=10 server >/dev/null
		[ "$(podman inspect --format '{{.State.ExitCode}}' server)" = 0 ] || fail "SIGTERM: exit status $(podman inspect --format '{{.State.ExitCode}}' server), want 0"
		podman rm server >/dev/null
	}

	podman load --quiet --input "$work/image" >/dev/null
	[ "$(podman info --format '{{.Host.Security.Rootless}}')" = true ] || fail "podman is not rootless"

	serve -v state:/var/lib/rrserve -e PUBLIC_KEY="$(<"$work/key.pub")" "$image"
	runs_as $((first + 65531)) 0000000000000000
	pull
	podman healthcheck run server || fail "podman healthcheck run: not healthy"
	stop
	echo "ok: rootless podman, read-only root, uid 65532, no capabilities: serves, is healthy, stops on SIGTERM"

	chown $((first + 4710)) "$work/host"
	serve --user=4711:4711 --health-cmd='["/rrserve","healthcheck"]' -v "$work/host:/etc/rrserve/host:ro" -v "$work/key.pub:/etc/rrserve/key.pub:ro" \
		-e RRSERVE_HOST_KEY=/etc/rrserve/host -e PUBLIC_KEY_FILE=/etc/rrserve/key.pub "$image"
	runs_as $((first + 4710)) 0000000000000000
	pull
	podman healthcheck run server || fail "podman healthcheck run: not healthy"
	stop
	echo "ok: rootless podman, any other uid, host key from a file: the same"

	echo secret >"$work/tree/secret"
	chown $((first + 1)):$((first + 1)) "$work/tree/secret" # within the range; beyond it the capability is worth nothing
	chmod 0600 "$work/tree/secret"
	serve --user=0:0 --cap-add=DAC_READ_SEARCH -e RRSERVE_READ_ALL=1 -e RRSERVE_RUN_AS=root \
		-v state:/var/lib/rrserve -e PUBLIC_KEY="$(<"$work/key.pub")" "$image"
	runs_as $uid 0000000000000004
	pull
	stop
	echo "ok: rootless podman, root with CAP_DAC_READ_SEARCH alone: serves the files of others in its range"
}

if [ "${1-}" = --within ]; then
	work=$3
	within "$2"
	exit
fi

image=${1:?usage: packaging/test-podman.sh IMAGE}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$(id -u)" = 0 ] || fail "needs root, for namespaces"
for tool in buildah podman crun newuidmap unshare setpriv ip ss rsync ssh ssh-keygen; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah podman crun uidmap util-linux iproute2 rsync openssh-client"
done

chmod 0755 "$work"
mkdir -p "$work/tree/sub"
install -d -m 0700 -o $uid -g $uid "$work/home" "$work/run"
echo hello >"$work/tree/sub/file"
ssh-keygen -q -t ed25519 -N '' -C test -f "$work/key"
ssh-keygen -q -t ed25519 -N '' -C host -f "$work/host"
buildah push --quiet "$image" "docker-archive:$work/image:localhost/$image"

unshare --mount --net --pid --fork --kill-child --mount-proc "$0" --within "localhost/$image" "$work"
