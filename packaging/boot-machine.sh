#!/usr/bin/env bash
# Boots what lies in DIR as the machine NAME, in new control groups of that name, which remain. This
# process becomes the machine's systemd-nspawn, with further arguments.
#
#   packaging/boot-machine.sh DIR NAME [ARGUMENT...]     (as root)
set -euo pipefail

dir=$1 name=$2
shift 2
# Machines in one group would take each other's services for their own.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
	[ -e $hierarchy/cgroup.procs ] || continue
	mkdir "$hierarchy/$name"
	echo $$ >"$hierarchy/$name/cgroup.procs"
done
# As on any machine, processes may confine themselves with Landlock, and set up networks of their own.
exec systemd-nspawn --quiet --boot --directory="$dir" --machine="$name" --register=no --keep-unit --console=pipe \
	--resolv-conf=off --timezone=off --link-journal=no --capability=CAP_NET_ADMIN \
	--system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' "$@"
