#!/bin/sh
# A snapshot_cmd for rrserve.toml: a snapshot of a logical volume, mounted.
#
#   [roots.photos]
#   path = "/srv/photos"                  # where the volume is mounted
#   snapshot_cmd = ["/usr/local/lib/rrserve/lvm.sh", "vg0/photos", "10G"]
#   snapshot_dir = "/run/rrserve-snapshots"
#
# 10G is the room for what changes in the volume meanwhile. A third argument is
# more mount options: nouuid for xfs.
set -eu

volume=$1
size=$2
options=ro${3:+,$3}
group=${volume%/*}
prefix=rrserve-
snap=$prefix$$

remove() {
	if mountpoint -q "$RRSERVE_SNAPSHOT_DIR/$1"; then umount "$RRSERVE_SNAPSHOT_DIR/$1"; fi
	if [ -d "$RRSERVE_SNAPSHOT_DIR/$1" ]; then rmdir "$RRSERVE_SNAPSHOT_DIR/$1"; fi
	if lvs "$group/$1" >/dev/null 2>&1; then lvremove -q -y "$group/$1" >&2; fi
}

# held PID: whether the command of this number goes on.
held() { [ "$1" != $$ ] && kill -0 "$1" 2>/dev/null; }

# Those of commands that could not clean up, as when the machine lost power.
lvs --noheadings -o lv_name "$group" | sed -n "s/^ *$prefix//p" | while read -r pid; do
	held "$pid" || remove "$prefix$pid"
done

trap 'remove "$snap"' EXIT
trap 'exit 1' HUP INT TERM
lvcreate -q -y --snapshot --size "$size" --name "$snap" "$volume" >&2
mkdir "$RRSERVE_SNAPSHOT_DIR/$snap"
mount -o "$options" "/dev/$group/$snap" "$RRSERVE_SNAPSHOT_DIR/$snap"
echo "$RRSERVE_SNAPSHOT_DIR/$snap"
cat >/dev/null # until the last session that shares it has ended
