// Package checksum holds the strong checksums of the rsync protocol: which one
// a session uses, and its three uses.
//
//   - A [File] covers the content of a whole file; it follows the file's tokens.
//   - A list sum, also a [File], goes into the file list for --checksum.
//   - A [Block] is the strong half of a block signature.
//
// They differ in where the seed of the session enters (protocol section 4.5).
package checksum
