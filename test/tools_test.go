package test

import "testing"

// toolCommands are the command lines of the tools that pull with rsync, in the
// words that they use.
var toolCommands = []command{
	{name: "path to rsync", line: "-ai --rsync-path=/usr/bin/rsync rr:sub DST/"},
	{name: "sudo", line: "-ai '--rsync-path=sudo rsync' rr:sub DST/"},
	{name: "sudo without a terminal", line: "-ai '--rsync-path=sudo -n /usr/bin/rsync' rr:sub DST/"},
	{name: "nice and ionice", line: "-ai '--rsync-path=nice -n 19 ionice -c3 rsync' rr:sub DST/"},
	{name: "env", line: "-ai '--rsync-path=env LC_ALL=C rsync' rr:sub DST/"},
	{name: "sudo, secluded", line: "-ais '--rsync-path=sudo rsync' 'rr:a b/' DST/"},
	{name: "BackupPC", line: "-s --rsync-path=/usr/bin/rsync --super --recursive --protect-args --numeric-ids --perms --owner --group -D --times --links --hard-links --delete --delete-excluded --one-file-system --partial --log-format='log: %o %i %B %8U,%8G %9l %f%L' --stats --checksum --timeout=72000 rr:/ DST/"},
	{name: "BackupPC, incremental", dst: edited, line: "-s --rsync-path=/usr/bin/rsync --super --recursive --protect-args --numeric-ids --perms --owner --group -D --times --links --hard-links --delete --delete-excluded --one-file-system --partial --checksum --timeout=72000 --exclude=*.o --include=/sub rr:/ DST/"},
	{name: "rsnapshot", line: "-ai --delete --numeric-ids --relative --delete-excluded rr:sub DST/"},
	{name: "rsnapshot, next turn", dst: edited, line: "-ai --delete --numeric-ids --relative --delete-excluded --exclude=*.o --link-dest=REF rr:sub DST/", opt: anyOrder},
	{name: "barman", line: "-rLKpts --delete-excluded --inplace --exclude=/pg_xlog/* --exclude=/recovery.conf --filter=protect_/none --checksum rr:/data/ DST/data/"},
	{name: "barman, list of files", line: "-rLKpts --inplace --files-from=AUX/list -T DST --checksum --no-whole-file rr:/ DST/"},
	{name: "TrueNAS", line: "-r -t -z --delete-delay --numeric-ids --relative --delete-excluded -l -p -i rr:sub DST/"},
	{name: "TrueNAS, module by ssh", line: "DAEMON -r -t -z --numeric-ids --relative --delete-excluded -i rr::src/sub DST/"},
	{name: "rsync-time-backup", line: "'--rsync-path=sudo rsync' -D --numeric-ids --links --hard-links --one-file-system --itemize-changes --times --recursive --perms --owner --group --stats --human-readable rr:/ DST/"},
	{name: "listing of one level", line: "-d --list-only '--rsync-path=sudo rsync' rr:sub/"},
}

func TestTools(t *testing.T) {
	f := newFixture(t)
	daemonConfig(t, f)
	for _, c := range toolCommands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f.compare(t, c, defaultClient)
		})
	}
}
