// Package fuzz holds the fuzz targets, one for each thing that comes from
// outside the process. Each begins with seeds, is bounded in memory and time,
// and holds what it accepts to what must be true of it.
//
// From the SSH side:
//
//	FuzzProxyHeader     what load balancers put in front
//	FuzzSSHWire         bytes before anybody is logged in
//	FuzzLogin           user names, keys and signatures
//	FuzzExec            channels, requests and the payload of exec, with a stream
//	FuzzAuthorizedKeys  the file that says who may log in
//
// The command:
//
//	FuzzArgvParse       the command line
//	FuzzArgvExpand      its braces, wildcards and paths
//	FuzzArgvSecluded    arguments that follow on the stream (-s)
//	FuzzProbe           commands that are no pull
//	FuzzDaemon          the daemon protocol, from its first line on
//
// What the parts of a session read:
//
//	FuzzFrames          numbers, strings and frames
//	FuzzHandshake       versions, and names of checksums and compressions
//	FuzzFilterList      filter rules
//	FuzzFilterFile      files of rules in the tree, and the rules that name them
//	FuzzFilterMatch     wildcards of rules
//	FuzzFilesFrom       names of --files-from, sent or in a file of the tree
//	FuzzCharset         names of character sets, and names in them
//	FuzzRequests        indexes and item flags
//	FuzzXattrRequest    which values of attributes are wanted
//	FuzzDeltaRequest    sum heads and the sums of blocks
//
// What is made of names, files and attributes that somebody else chose:
//
//	FuzzPath            names of files
//	FuzzACL             access control lists
//	FuzzFakeStat        what --fake-super keeps of a file
//	FuzzFakeACL         what it keeps of an access control list
//	FuzzDeltaSearch     a file against an older one
//	FuzzToken           the stream of file data, compressed
//
// What comes from the server that rrserve check pulls from:
//
//	FuzzTrialPull       its side of a pull, before the client reads it
//
// What the snapshot broker reads, from a server that was taken over:
//
//	FuzzBroker          requests for snapshots
//
// Whole sessions:
//
//	FuzzSession         a command line and a stream
//	FuzzDialogue        sessions that stay in step and so get to the end
package fuzz
