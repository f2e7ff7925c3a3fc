#!/bin/sh
# A snapshot_cmd for rrserve.toml: a snapshot of a ZFS dataset.
#
#   [roots.photos]
#   path = "/tank/photos"                 # where the dataset is mounted; others below it are empty in the snapshot
#   snapshot_cmd = ["/usr/local/lib/rrserve/zfs.sh", "tank/photos"]
#   snapshot_dir = "/tank/photos/.zfs/snapshot"
set -eu

dataset=$1
prefix=rrserve-
snap=$prefix$$

remove() {
	! zfs list -t snapshot "$dataset@$1" >/dev/null 2>&1 || zfs destroy "$dataset@$1" >&2
}

# held PID: whether the command of this number goes on.
held() { [ "$1" != $$ ] && kill -0 "$1" 2>/dev/null; }

# Those of commands that could not clean up, as when the machine lost power.
zfs list -H -t snapshot -d 1 -o name "$dataset" | sed -n "s/^.*@$prefix//p" | while read -r pid; do
	held "$pid" || remove "$prefix$pid"
done

trap 'remove "$snap"' EXIT
trap 'exit 1' HUP INT TERM
zfs snapshot "$dataset@$snap"
ls "$RRSERVE_SNAPSHOT_DIR/$snap" >/dev/null # which mounts it
echo "$RRSERVE_SNAPSHOT_DIR/$snap"
cat >/dev/null # until the last session that shares it has ended
