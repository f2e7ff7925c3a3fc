#!/usr/bin/env bash
# Runs the commands of the documents about containers as they stand there, from top
# to bottom, with rootless podman in place of docker and of a cluster; a stock rsync
# pulls from what they start. Then tries what the documents say without a command.
#
#   packaging/test-podman.sh     (as root, which plays the user, in a clone)
set -euo pipefail

readonly uid=4242 first=100000 # the user, and where the user's containers have theirs
readonly image=localhost/rrserve
readonly nothing=0000000000000000 dac_read_search=0000000000000004 # capabilities

fail() {
	echo "test-podman: $*" >&2
	for name in out log; do [ ! -e "$work/$name" ] || cat "$work/$name" >&2; done
	exit 1
}

# blocks PLACE FILE prints the blocks of "sh PLACE" in a document, each ended by NUL.
blocks() {
	awk -v fence="\`\`\`sh $1" '$0 == fence { on = 1; next } on && $0 == "```" { on = 0; printf "%c", 0 } on' "$2"
}

# docker and kubectl are what the blocks call.
docker() {
	case $1 in
	build) BUILDAH_FORMAT=docker BUILDAH_ISOLATION=chroot buildah "$@" ;;
	compose) podman-compose "${@:2}" ;;
	*) podman "$@" ;;
	esac
}

# The cluster has one pod, the first of the StatefulSet. It mounts the Secret as a
# kubelet does: for the group fsGroup.
kubectl() {
	local files=("${@:7}")
	case $* in
	'-n photos create secret generic rrserve --from-file='*)
		mkdir ~/secret
		cp "${files[@]#--from-file=}" ~/secret
		chmod 0440 ~/secret/*
		podman unshare chgrp 65532 ~/secret/*
		;;
	'-n photos apply -f '*)
		{
			printf '%s\n' 'apiVersion: v1' 'kind: Pod'
			sed -n '/^  template:/,/^  volumeClaimTemplates:/s/^    //p' "$5" |
				sed "s|secret: {secretName: rrserve, .*}|hostPath: {path: $HOME/secret}|; /^metadata:/a\  name: rrserve-0"
			echo '    - {name: state, persistentVolumeClaim: {claimName: state-rrserve-0}}'
		} | podman kube play -
		;;
	*)
		echo "kubectl: not in this cluster: $*" >&2
		return 1
		;;
	esac
}

# user COMMAND... runs it as the user of the machine.
user() {
	setpriv --reuid=$uid --regid=$uid --clear-groups env -i HOME="$work/home" XDG_RUNTIME_DIR="$work/run" PATH="$PATH" "$@"
}

# Without systemd podman has nobody who runs the health check each minute, says so
# as an error, and goes on.
podman() { user podman --log-level=fatal "$@"; }

# pull KEY [STATUS]: does the owner of the key get everything?
pull() {
	local rc=0
	rm -rf "$work/got"
	rsync -azh --stats -e "ssh -p 2222 -i $1 -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" \
		'rrserve@127.0.0.1:*' "$work/got/" >"$work/out" 2>&1 || rc=$?
	[ "$rc" = "${2-0}" ] || fail "the pull ended with status $rc, want ${2-0}"
	[ "$rc" != 0 ] || diff -r "$work/tree" "$work/got" || fail "the copy differs"
}

# serves UID CAPABILITIES [WALLS]: does a server serve, as that user of its container?
serves() {
	local host=$uid status
	[ "$1" = 0 ] || host=$((first + $1 - 1))
	server=$(podman ps --quiet --filter name=rrserve)
	[ -n "$server" ] || fail "no server runs"
	for _ in $(seq 200); do
		podman logs "$server" >"$work/log" 2>&1
		! grep -qE 'msg"?[=:]"?listening' "$work/log" || break
		sleep 0.05
	done
	grep -qE 'msg"?[=:]"?listening' "$work/log" || fail "the server does not listen"
	status=/proc/$(podman inspect --format '{{.State.Pid}}' "$server")/status
	grep -qE "^Uid:(.$host){4}\$" "$status" || fail "not uid $1: $(grep ^Uid "$status")"
	[ "$(grep -cE "^Cap(Prm|Eff):.$2\$" "$status")" = 2 ] || fail "capabilities are not $2: $(grep ^Cap "$status")"
	grep -qE "msg\"?[=:]\"${3-the sandbox holds}\"" "$work/log" || fail "the log does not say: ${3-the sandbox holds}"
	pull "$work/key"
}

healthy() { podman healthcheck run "$server" || fail "podman healthcheck run: not healthy"; }

# serves_all: as root with the one capability, also files of others, if they have
# uids in the container.
serves_all() {
	echo secret >"$work/tree/secret"
	chown $((first + 1)):$((first + 1)) "$work/tree/secret"
	chmod 0600 "$work/tree/secret"
	serves "$1" $dac_read_search
	chown 1:1 "$work/tree/secret"
	pull "$work/key" 23
	rm "$work/tree/secret"
}

# stop ends what runs, and forgets it.
stop() {
	local rc
	for server in $(podman ps --quiet --filter name=rrserve); do
		podman stop "$server" >/dev/null
		rc=$(podman inspect --format '{{.State.ExitCode}}' "$server")
		[ "$rc" = 0 ] || fail "SIGTERM: exit status $rc, want 0"
	done
	podman pod rm --all --force >/dev/null
	podman rm --all --force --volumes >/dev/null
}

# load gives the user the image that root has.
load() {
	rm -f "$work/image"
	buildah push --quiet rrserve "docker-archive:$work/image:$image"
	podman load --quiet --input "$work/image" >/dev/null
}

# follow PLACE FILE runs the blocks of a document, and looks at each server that is
# there then.
follow() {
	local all block path
	mapfile -d '' -t all < <(blocks "$1" "$2")
	[ ${#all[@]} != 0 ] || fail "$2: no block of sh $1"
	for block in "${all[@]}"; do
		case $block in
		make*) bash -euxo pipefail -c "$(declare -f docker); $block" ;;
		*) (cd "$work/home/rrserve" && user bash -euxo pipefail -c "$(declare -f docker kubectl); $block") ;;
		esac >"$work/out" 2>&1 </dev/null || fail "$2: failed: $block"
		case $block in
		make*)
			load
			;;
		*DAC_READ_SEARCH*)
			serves_all 0
			healthy
			;;
		*'docker run '*)
			serves 65532 $nothing
			healthy
			;;
		*'compose '*' up '*)
			serves 65532 $nothing
			healthy
			install -m 0644 "$work/other.pub" "$work/home/rrserve/examples/compose/rrserve/authorized_keys"
			pull "$work/other"
			;;
		*kubectl*)
			serves 65532 $nothing
			for path in /livez /readyz; do
				curl -fsS "http://127.0.0.1:9222$path" >"$work/out" || fail "$path: no answer"
			done
			;;
		*)
			[ -z "$(podman ps --quiet)" ] || fail "a server still runs"
			;;
		esac
		echo "ok: $2: ${block%%$'\n'*}"
	done
	stop
}

# run ARGUMENTS... runs the server with nothing that it does not need.
run() {
	podman run --name=rrserve --read-only --cap-drop=all --security-opt=no-new-privileges \
		--sysctl=net.ipv4.ip_unprivileged_port_start=0 --publish=2222:22 "$@" "$image"
}

# start and ends ARGUMENTS...: a server that starts, and one that says TEXT and does not.
start() { run --detach "$@" >/dev/null; }
ends() { # ends TEXT ARGUMENTS...
	local rc=0
	run --rm "${@:2}" >"$work/log" 2>&1 || rc=$?
	[ "$rc" = 78 ] || fail "exit status $rc, want 78"
	grep -q "$1" "$work/log" || fail "the log does not say: $1"
}

# within runs in its own mount, network and process namespaces: what it starts
# and mounts is gone when it returns.
within() {
	ip link set lo up
	mount -t cgroup2 cgroup2 /sys/fs/cgroup # crun refuses v1 beside v2
	mount --make-rshared /
	mount -t tmpfs tmpfs /dev/shm # for podman's locks
	mknod -m 0666 /dev/shm/tun c 10 200
	mount --bind /dev/shm/tun /dev/net/tun # for slirp4netns
	echo "tester:$first:65536" >"$work/subid"
	{ cat /etc/passwd; echo "tester:x:$uid:$uid::$work/home:/bin/sh"; } >"$work/passwd"
	touch /etc/subuid /etc/subgid
	mount --bind "$work/subid" /etc/subuid
	mount --bind "$work/subid" /etc/subgid
	mount --bind "$work/passwd" /etc/passwd
	mount --bind "$work/tree" /srv
	[ "$(podman info --format '{{.Host.Security.Rootless}}')" = true ] || fail "podman is not rootless"

	follow container docs/container.md
	podman tag $image registry.example/rrserve
	podman volume create data >/dev/null # the claim
	cp -R "$work/tree/." "$(podman volume inspect --format '{{.Mountpoint}}' data)"
	follow cluster docs/kubernetes.md

	chown $((first + 4710)) "$work/host"
	start --user=4711:4711 --health-cmd='["/rrserve","healthcheck"]' -v /srv:/data:ro -v "$work/host:/etc/rrserve/host:ro" \
		-e RRSERVE_HOST_KEY=/etc/rrserve/host -v "$work/key.pub:/etc/rrserve/key.pub:ro" -e PUBLIC_KEY_FILE=/etc/rrserve/key.pub
	serves 4711 $nothing
	healthy
	stop
	echo "ok: any other uid, a host key from a file, PUBLIC_KEY_FILE"

	start --user=0:0 --cap-add=DAC_READ_SEARCH --cap-add=SETUID --cap-add=SETGID -e RRSERVE_READ_ALL=1 -v /srv:/data:ro \
		-v rrserve-root:/state -e RRSERVE_STATE_DIR=/state -v "$work/keys:/etc/rrserve/keys:ro" -e PUBLIC_KEY_DIR=/etc/rrserve/keys
	serves_all 65534
	stop
	echo "ok: root becomes uid 65534 where it may, PUBLIC_KEY_DIR"

	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["landlock_create_ruleset"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' >"$work/seccomp"
	start --security-opt=seccomp="$work/seccomp" -v /srv:/data:ro -e PUBLIC_KEY="$(<"$work/key.pub")"
	serves 65532 $nothing "the sandbox is incomplete"
	stop
	ends "the sandbox does not hold" --security-opt=seccomp="$work/seccomp" -v /srv:/data:ro -e PUBLIC_KEY="$(<"$work/key.pub")" -e RRSERVE_SANDBOX=required
	echo "ok: without Landlock it serves, and ends with RRSERVE_SANDBOX=required; PUBLIC_KEY"

	ends /data -e PUBLIC_KEY="$(<"$work/key.pub")"
	echo "ok: without /data: $(tail -n 1 "$work/log")"
}

if [ "${1-}" = --within ]; then
	work=$2
	within
	exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$(id -u)" = 0 ] || fail "needs root, for namespaces"
for tool in buildah podman podman-compose crun newuidmap slirp4netns catatonit /usr/lib/cni/bridge unshare setpriv ip rsync ssh ssh-keygen curl; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah podman podman-compose crun uidmap slirp4netns catatonit containernetworking-plugins util-linux iproute2 rsync openssh-client curl"
done

# The user has the documents' files in a clone, and the key of the machine that pulls.
chmod 0755 "$work"
mkdir -p "$work/tree/sub" "$work/home/rrserve" "$work/home/.config/containers" "$work/run" "$work/keys"
echo hello >"$work/tree/sub/file"
ssh-keygen -q -t ed25519 -N '' -C test -f "$work/key"
ssh-keygen -q -t ed25519 -N '' -C other -f "$work/other"
ssh-keygen -q -t ed25519 -N '' -C host -f "$work/host"
cp "$work/key.pub" "$work/keys/test.pub"
echo 'not a key' >"$work/keys/README"
cp "$work/key.pub" "$work/home/rrserve/backup.pub"
cp "$work/key.pub" "$work/home/rrserve/authorized_keys"
cp -R examples "$work/home/rrserve"
# There is no systemd, and nothing below the ulimits of root to raise them to.
cat >"$work/home/.config/containers/containers.conf" <<-END
	[containers]
	cgroups = "disabled"
	default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
	[engine]
	cgroup_manager = "cgroupfs"
	events_logger = "file"
END
chown -R $uid:$uid "$work/home" "$work/run"

unshare --mount --net --pid --fork --kill-child --mount-proc "$0" --within "$work"
