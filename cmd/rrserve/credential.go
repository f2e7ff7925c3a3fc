package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the credentials that stand in for flags, systemd.exec(5): those of the
// files that are usual for this.
const authorizedKeysCredential = "authorized_keys"

var hostKeyCredentials = []string{hostKeyName, "ssh_host_rsa_key"}

// credentialsVariable names the directory that they are in.
const credentialsVariable = "CREDENTIALS_DIRECTORY"

// credential is the file of a credential that the service manager has handed over,
// "" if there is none of this name. One that is there and cannot be read is not
// passed over.
func (o *options) credential(name string) string {
	dir, _ := o.lookup(credentialsVariable)
	if !filepath.IsAbs(dir) {
		return ""
	}
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}
