#!/usr/bin/env bash
# Checks what the Dockerfile promises. No container runtime is needed, only
# buildah and namespaces: the image's root is mounted read-only, the server runs
# in it as the image says, without any capability, and a stock rsync pulls.
#
#   packaging/test-image.sh IMAGE     (as root)
set -euo pipefail

readonly max_size=25000000 # bytes, unpacked

fail() { echo "test-image: $*" >&2; exit 1; }

# within runs in its own mount, network and process namespaces: what it starts
# and mounts is gone when it returns.
within() {
	local root=$1 work=$2
	ip link set lo up
	echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start # as docker does
	mkdir -p "$work/tree/sub" "$work/state" "$work/mnt" "$work/got"
	echo hello >"$work/tree/sub/file"
	chown 65532:65532 "$work/state"
	chmod 0700 "$work/state"
	ssh-keygen -q -t ed25519 -N '' -C test -f "$work/key"
	ssh-keygen -q -t ed25519 -N '' -C host -f "$work/host"

	# A root as a container runtime makes it: mount points first, then read-only.
	mount --bind "$root" "$work/mnt"
	mkdir -p "$work/mnt/data" "$work/mnt/run"
	mount -o remount,bind,ro "$work/mnt"
	touch "$work/mnt/x" 2>/dev/null && fail "the root is not read-only"

	local run=(setpriv --no-new-privs chroot --userspec=65532:65532 --groups=65532 "$work/mnt" /rrserve)
	local env
	mapfile -t env <"$work/env"
	start() { # start VAR=VALUE...: the server in the background, its log in $work/log
		env -i PATH="$PATH" "${env[@]}" RRSERVE_AUTHORIZED_KEY="$(<"$work/key.pub")" "$@" \
			"${run[@]}" >"$work/log" 2>&1 &
		pid=$!
	}
	status() { # the exit status of a server that should not start
		local rc=0
		timeout 20 tail --pid="$pid" -f /dev/null || { cat "$work/log" >&2; fail "$1: the server runs"; }
		wait "$pid" || rc=$?
		[ "$rc" = 78 ] || { cat "$work/log" >&2; fail "$1: exit status $rc, want 78"; }
		grep -q "$2" "$work/log" || { cat "$work/log" >&2; fail "$1: the message does not say $2"; }
		echo "ok: $1: $(tail -n 1 "$work/log")"
	}
	listening() {
		for _ in $(seq 200); do
			ss -Hltn 'sport = :22' | grep -q . && return
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		cat "$work/log" >&2
		fail "the server does not listen on port 22"
	}
	stop() {
		local rc=0
		kill -TERM "$pid"
		wait "$pid" || rc=$?
		[ "$rc" = 0 ] || { cat "$work/log" >&2; fail "SIGTERM: exit status $rc, want 0"; }
	}
	healthy() { # healthy WANT: the exit status of the image's HEALTHCHECK
		local rc=0
		env -i PATH="$PATH" "${env[@]}" "${run[@]}" healthcheck 2>"$work/health" || rc=$?
		[ "$rc" = "$1" ] || fail "healthcheck: exit status $rc, want $1: $(cat "$work/health")"
	}
	pull() {
		rm -rf "$work/got"
		rsync -a -e "ssh -i $work/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" \
			rrserve@127.0.0.1: "$work/got/" || { cat "$work/log" >&2; fail "the pull failed"; }
		diff -r "$work/tree" "$work/got" || fail "the copy differs"
	}

	start
	status "no state volume" /var/lib/rrserve

	mount -t tmpfs -o mode=0755 tmpfs "$work/mnt/run"
	cp "$work/host" "$work/mnt/run/host"
	chown 65532:65532 "$work/mnt/run/host"
	mount --bind "$work/tree" "$work/mnt/data"
	mount -o remount,bind,ro "$work/mnt/data"
	start RRSERVE_HOST_KEY=/run/host
	listening
	pull
	stop
	echo "ok: no state volume, but a host key: serves"

	mount --bind "$work/state" "$work/mnt/var/lib/rrserve"
	start
	listening
	grep -E '^(Uid|Gid|Cap(Prm|Eff|Amb)|NoNewPrivs|Groups)' "/proc/$pid/status" >"$work/status"
	grep -qE $'^Uid:\t65532\t65532\t65532\t65532$' "$work/status" || fail "not uid 65532: $(cat "$work/status")"
	[ "$(grep -cE $'^Cap...:\t0+$' "$work/status")" = 3 ] || fail "has capabilities: $(cat "$work/status")"
	grep -qE $'^NoNewPrivs:\t1$' "$work/status" || fail "no_new_privs is off"
	pull
	healthy 0
	stop
	healthy 1
	grep -q 'msg="the sandbox holds"' "$work/log" || { cat "$work/log" >&2; fail "no sandbox"; }
	[ -f "$work/state/ssh_host_ed25519_key" ] || fail "no host key in the state volume"
	before=$(cat "$work/state/ssh_host_ed25519_key.pub")
	start
	listening
	stop
	[ "$before" = "$(cat "$work/state/ssh_host_ed25519_key.pub")" ] || fail "a second start made a new host key"
	echo "ok: read-only root, uid 65532, no capabilities, port 22: serves, keeps its host key, stops on SIGTERM"

	# As docs/container.md says: root, with the one capability that reads all, and
	# here the one to enter the image.
	echo secret >"$work/tree/secret"
	chown 4242:4242 "$work/tree/secret"
	chmod 0600 "$work/tree/secret"
	run=(setpriv --no-new-privs '--bounding-set=-all,+dac_read_search,+sys_chroot' --inh-caps=-all chroot "$work/mnt" /rrserve)
	start RRSERVE_HOST_KEY=/run/host RRSERVE_READ_ALL=1
	status "root that cannot become another user" 'run-as root'
	start RRSERVE_HOST_KEY=/run/host RRSERVE_READ_ALL=1 RRSERVE_RUN_AS=root
	listening
	pull
	stop
	echo "ok: root with CAP_DAC_READ_SEARCH alone: serves the files of others"
}

if [ "${1-}" = --within ]; then
	within "$2" "$3"
	exit
fi

image=${1:?usage: packaging/test-image.sh IMAGE}
[ "$(id -u)" = 0 ] || fail "needs root, for namespaces"
for tool in buildah unshare setpriv chroot ip ss rsync ssh ssh-keygen; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah util-linux iproute2 rsync openssh-client"
done

container=$(buildah from --pull-never "$image")
work=$(mktemp -d)
chmod 0755 "$work"
trap 'buildah umount "$container" >/dev/null || :; buildah rm "$container" >/dev/null; rm -rf "$work"' EXIT

config() { # config TEMPLATE WANT
	local got
	got=$(buildah inspect --type image --format "$1" "$image")
	[ "$got" = "$2" ] || fail "$1 is $got, want $2"
}
config '{{.OCIv1.Config.User}}' 65532:65532
config '{{.OCIv1.Config.Entrypoint}}' '[/rrserve]'
config '{{.OCIv1.Config.ExposedPorts}}' 'map[22/tcp:{}]'
config '{{.OCIv1.Config.Volumes}}' 'map[/var/lib/rrserve:{}]'
config '{{.OCIv1.Config.StopSignal}}' SIGTERM
config '{{.Docker.Config.Healthcheck.Test}}' '[CMD /rrserve healthcheck]'
buildah inspect --type image --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' "$image" | grep '=' >"$work/env"
for env in RRSERVE_IMAGE=1 RRSERVE_ROOT=/data RRSERVE_STATE_DIR=/var/lib/rrserve RRSERVE_LISTEN=:22; do
	grep -qxF "$env" "$work/env" || fail "no $env in the environment"
done

root=$(buildah mount "$container")
want='d 0:0 755 /var
d 0:0 755 /var/lib
d 65532:65532 700 /var/lib/rrserve
f 0:0 755 /rrserve'
got=$(find "$root" -mindepth 1 -printf '%y %U:%G %m /%P\n' | LC_ALL=C sort)
[ "$got" = "$want" ] || fail "the image holds
$got
want
$want"
size=$(du -sb "$root" | cut -f 1)
[ "$size" -lt $max_size ] || fail "the image has $size bytes, $max_size are too many"
echo "ok: the image holds the binary and an empty state directory: $size bytes"

unshare --mount --net --pid --fork --kill-child --mount-proc "$0" --within "$root" "$work"
