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

# alpine writes a version of Go as apk orders them: what was built after 1.2.2 comes before
# 1.2.3_alpha1, and that before 1.2.3. It has no hash, nor the mark of a changed clone.
alpine() {
	local v
	v=$(sed -E 's/\+.*//; s/-[0-9a-f]{12}$//
		s/-(0\.)?([0-9]{14})$/_alpha_git\2/; s/\.0\.([0-9]{14})$/_git\1/
		s/-(alpha|beta|pre|rc)\.?([0-9]*)/_\1\2/' <<<"$1")
	[[ $v =~ ^[0-9]+(\.[0-9]+)*(_(alpha|beta|pre|rc)[0-9]*)?(_git[0-9]+)?$ ]] ||
		{ echo "packages: apk has no version such as $1; allowed are numbers, and -alpha, -beta, -pre or -rc with a number" >&2; exit 1; }
	echo "$v"
}

VERSION=$(noted $'\tmod\trrserve\tv([^\t]+).*')
SOURCE_DATE_EPOCH=$(date -d "$(noted $'\tbuild\tvcs.time=(.*)')" +%s)
MAINTAINER=$(git log -1 --format='%an <%ae>' "$(noted $'\tbuild\tvcs.revision=(.*)')")
alpine=$(alpine "$VERSION")
export VERSION SOURCE_DATE_EPOCH MAINTAINER

GOBIN=$PWD/bin GOFLAGS='' $go install $nfpm
rm -rf $stage
mkdir -p $stage/man $stage/openrc
for page in rrserve.1 rrserve.toml.5; do
	gzip -9 -n <packaging/man/$page >$stage/man/$page.gz
done
sed 's|/usr/local/bin/|/usr/bin/|' packaging/systemd/rrserve.service >$stage/rrserve.service
sed 's|/usr/local/bin/|/usr/bin/|' packaging/openrc/rrserve >$stage/openrc/rrserve
{
	cat LICENSE
	printf '\nThe program contains code of others:\n\n'
	tar -xOzf "dist/rrserve-$VERSION-linux-amd64.tar.gz" "rrserve-$VERSION-linux-amd64/LICENSES.txt"
} >$stage/copyright
cp packaging/systemd/rrserve.socket packaging/systemd/read-all.conf packaging/systemd/snapshot.conf packaging/rrserve.env NEWS.md $stage
cp -r packaging/fail2ban packaging/apk bin/completions $stage

for arch in amd64 arm64 armv7 riscv64; do
	[ -d "dist/linux-$arch" ] || continue # make packages PLATFORMS=linux/amd64
	cp "dist/linux-$arch/rrserve" $stage/rrserve
	find $stage -type d -exec chmod 0755 {} + -o -type f -exec chmod 0644 {} +
	chmod 0755 $stage/rrserve
	find $stage -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	export ARCH=${arch/armv/arm}
	for format in deb rpm; do
		bin/nfpm package --config packaging/nfpm.yaml --packager $format --target dist
	done
	VERSION=$alpine RELEASE=r0 bin/nfpm package --config packaging/nfpm.yaml --packager apk --target dist
done
