package main

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// slowMount shows the tree src at dir, which it makes, as storage on which each
// opening of a file or directory and each read of a file takes so long, however
// many there are at once. Attributes are cached by the kernel, data are not.
// It needs root and /dev/fuse.
func slowMount(src, dir string, delay time.Duration) (unmount func() error, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := fs.NewLoopbackRoot(src)
	if err != nil {
		return nil, err
	}
	forGood := time.Hour
	s, err := fs.Mount(dir, &slowNode{root.(*fs.LoopbackNode), delay}, &fs.Options{
		MountOptions: fuse.MountOptions{AllowOther: true, DirectMountStrict: true, FsName: src, Name: "slow"},
		EntryTimeout: &forGood, AttrTimeout: &forGood,
	})
	if err != nil {
		return nil, err
	}
	return s.Unmount, nil
}

// slowNode is a file or directory of the mount.
type slowNode struct {
	*fs.LoopbackNode
	delay time.Duration
}

var (
	_ fs.NodeWrapChilder    = (*slowNode)(nil)
	_ fs.NodeOpener         = (*slowNode)(nil)
	_ fs.NodeOpendirHandler = (*slowNode)(nil)
	_ fs.FileReader         = (*slowFile)(nil)
	_ fs.FileReleaser       = (*slowFile)(nil)
)

// WrapChild makes what is below the node slow too.
func (n *slowNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &slowNode{ops.(*fs.LoopbackNode), n.delay}
}

// OpendirHandle opens a directory.
func (n *slowNode) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	time.Sleep(n.delay)
	return n.LoopbackNode.OpendirHandle(ctx, flags)
}

// Open opens a file so that each read of it comes to Read.
func (n *slowNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	time.Sleep(n.delay)
	f, _, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &slowFile{f.(*fs.LoopbackFile), n.delay}, fuse.FOPEN_DIRECT_IO, 0
}

// slowFile is an open file.
type slowFile struct {
	*fs.LoopbackFile
	delay time.Duration
}

// Read reads a part of the file.
func (f *slowFile) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	time.Sleep(f.delay)
	return f.LoopbackFile.Read(ctx, buf, off)
}
