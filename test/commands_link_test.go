package test

// linkCommands follow symbolic links on the server. They name only links that
// stay in the tree or dangle: following one that leaves it is what rrserve
// does not do, see TestEscapingLinks.
var linkCommands = []command{
	{name: "copy links", line: "-aiL rr:links DST/"},
	{name: "copy links of arguments", line: "-aiL rr:tosub rr:tofile rr:links/relative DST/"},
	{name: "copy links without archive", line: "-rL -i rr:links rr:tosub DST/", opt: anyOrder},
	{name: "copy links, dangling argument", line: "-aiL rr:links/dangling rr:a.txt DST/"},
	{name: "copy links, looping argument", line: "-aiL rr:links/loop rr:a.txt DST/"},
	{name: "copy links, hard links", line: "-aiLH rr:links rr:hard DST/"},
	{name: "copy links, checksum", dst: edited, line: "-aicL rr:links DST/"},
	{name: "copy links, no inc recursive", line: "-aiL --no-i-r rr:links DST/"},
	{name: "copy links, listing", line: "-rL --list-only rr:links"},
	{name: "copy links, files from", line: "-aiL --files-from=AUX/list rr: DST/"},
	{name: "copy links, relative", line: "-aiRL rr:tosub/nested DST/"},
	{name: "copy dir links", line: "-aik rr:links rr:tosub rr:tofile DST/"},
	{name: "copy dir links, relative", line: "-aiRk rr:tosub/nested DST/"},
	{name: "copy unsafe links", line: "-ai --copy-unsafe-links rr:links rr:tosub DST/"},
	{name: "copy unsafe links of the root", line: "-ai --copy-unsafe-links --exclude=/escape rr: DST/"},
	{name: "safe links", line: "-ai --safe-links rr: DST/"},
	{name: "safe links of a subdirectory", line: "-ai --safe-links rr:links/ rr:tofile DST/"},
	{name: "safe links, verbose", line: "-av --safe-links rr:escape DST/"},
	{name: "munge links", line: "-ai --munge-links rr:links DST/"},
	{name: "munged links", line: "-ai rr:munged DST/"},
	{name: "munged links, at the server", line: "-ai -M--munge-links rr:munged DST/"},
	{name: "munged links, at both", line: "-ai --munge-links -M--munge-links rr:munged DST/"},
	{name: "keep dir links", dst: edited, line: "-aiK rr: DST/"},
	{name: "links as they are", line: "-ai rr:escape rr:links DST/"},
}
