#!/bin/sh
# A snapshot_cmd for rrserve.toml: a read-only snapshot of a btrfs subvolume.
#
#   [roots.photos]
#   path = "/srv/photos"                  # a subvolume; others below it are empty in the snapshot
#   snapshot_cmd = ["/usr/local/lib/rrserve/btrfs.sh"]
#   snapshot_dir = "/srv/snapshots"       # on the same file system, root's alone to write to
set -eu

prefix=$RRSERVE_SNAPSHOT_DIR/rrserve-
snap=$prefix$$

remove() {
	[ ! -d "$1" ] || btrfs subvolume delete "$1" >&2
}

# held PID: whether the command of this number goes on.
held() { [ "$1" != $$ ] && kill -0 "$1" 2>/dev/null; }

# Those of commands that could not clean up, as when the machine lost power.
for left in "$prefix"*; do
	pid=${left#"$prefix"}
	held "$pid" || remove "$left"
done

trap 'remove "$snap"' EXIT
trap 'exit 1' HUP INT TERM
btrfs subvolume snapshot -r "$RRSERVE_SNAPSHOT_OF" "$snap" >&2
echo "$snap"
cat >/dev/null # until the last session that shares it has ended
