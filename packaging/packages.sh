#!/usr/bin/env bash
# Makes packages of what `make dist` has built, with nfpm. Modes and times of the
# files are set here, since those of a clone are anybody's.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
readonly nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
readonly stage=bin/package # in nfpm.yaml too

# noted PATTERN is what the go command has noted in a binary, as a regular expression
# finds it.
noted() { $go version -m dist/linux-amd64/rrserve | sed -En "s/^$1\$/\1/p"; }

VERSION=$(noted $'\tmod\trrserve\tv([^\t]+).*')
SOURCE_DATE_EPOCH=$(date -d "$(noted $'\tbuild\tvcs.time=(.*)')" +%s)
MAINTAINER=$(git log -1 --format='%an <%ae>' "$(noted $'\tbuild\tvcs.revision=(.*)')")
export VERSION SOURCE_DATE_EPOCH MAINTAINER

GOBIN=$PWD/bin GOFLAGS='' $go install $nfpm
rm -rf $stage
mkdir -p $stage/man
for page in rrserve.1 rrserve.toml.5; do
	gzip -9 -n <packaging/man/$page >$stage/man/$page.gz
done
sed 's|/usr/local/bin/|/usr/bin/|' packaging/systemd/rrserve.service >$stage/rrserve.service
{
	cat LICENSE
	printf '\nThe program contains code of others:\n\n'
	tar -xOzf "dist/rrserve-$VERSION-linux-amd64.tar.gz" "rrserve-$VERSION-linux-amd64/LICENSES.txt"
} >$stage/copyright
cp packaging/systemd/rrserve.socket packaging/systemd/read-all.conf packaging/systemd/snapshot.conf packaging/rrserve.env NEWS.md $stage
cp -r packaging/fail2ban bin/completions $stage

for arch in amd64 arm64 armv7 riscv64; do
	cp "dist/linux-$arch/rrserve" $stage/rrserve
	find $stage -type d -exec chmod 0755 {} + -o -type f -exec chmod 0644 {} +
	chmod 0755 $stage/rrserve
	find $stage -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	for format in deb rpm apk; do
		ARCH=${arch/armv/arm} bin/nfpm package --config packaging/nfpm.yaml --packager $format --target dist
	done
done
