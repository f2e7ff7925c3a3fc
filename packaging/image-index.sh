#!/usr/bin/env bash
# Builds the image for every platform and writes them as one OCI image layout, to
# be copied to a registry by others. Nothing is run of what is built, so no emulator
# is needed. Then looks at what was written.
#
#   GO=go packaging/image-index.sh NAME DIR
set -euo pipefail

readonly platforms='linux/amd64 linux/arm64 linux/arm/v7'
readonly max_size=25000000 # bytes of an image, unpacked

fail() { echo "image-index: $*" >&2; exit 1; }

# blob FILE moves a file among the blobs and prints what refers to it.
blob() {
	local sum size
	sum=$(sha256sum <"$1" | cut -d ' ' -f 1)
	size=$(stat -c %s "$1")
	mv "$1" "$dir/blobs/sha256/$sum"
	jq -n -c --arg digest "sha256:$sum" --argjson size "$size" '{$digest, $size}'
}

# content REFERENCE prints the path of a blob.
content() { echo "$dir/blobs/sha256/$(jq -r '.digest | ltrimstr("sha256:")' <<<"$1")"; }

# refer FILE FILTER BLOB prints FILE with what FILTER selects referring to another
# blob, and removes the blob that it referred to.
refer() {
	rm "$(content "$(jq -c "$2" "$1")")"
	jq -c "$2 += \$new" --argjson new "$3" "$1"
}

# add_healthcheck puts the image's HEALTHCHECK into the configuration of each
# platform, where docker looks for it. The OCI format does not know it, and buildah
# leaves it out.
add_healthcheck() {
	local top=$dir/index.json index image i new
	index=$(content "$(jq -c '.manifests[0]' "$top")")
	for i in $(seq 0 $(($(wc -w <<<"$platforms") - 1))); do
		image=$(content "$(jq -c ".manifests[$i]" "$index")")
		jq -c --argjson check "$1" '.config.Healthcheck = $check' "$(content "$(jq -c .config "$image")")" >"$work/new"
		new=$(blob "$work/new")
		refer "$image" .config "$new" >"$work/new"
		new=$(blob "$work/new")
		refer "$index" ".manifests[$i]" "$new" >"$work/index"
		mv "$work/index" "$index"
	done
	cp "$index" "$work/new"
	new=$(blob "$work/new")
	refer "$top" '.manifests[0]' "$new" >"$work/index"
	cat "$work/index" >"$top"
}

# check PLATFORM IMAGE looks at one image of the layout.
check() {
	local config layer files size
	[ "$(jq '.layers | length' "$2")" = 1 ] || fail "$1: $(jq '.layers | length' "$2") layers, want 1"
	config=$(content "$(jq -c .config "$2")")
	layer=$(content "$(jq -c '.layers[0]' "$2")")
	[ "$(jq -r '[.os, .architecture, .variant // empty] | join("/")' "$config")" = "$1" ] || fail "$1: the configuration is of another platform"
	jq -e '.config | .User == "65532:65532" and .Entrypoint == ["/rrserve"] and .Healthcheck.Test == ["CMD", "/rrserve", "healthcheck"]' "$config" >/dev/null ||
		fail "$1: the configuration is $(jq -c .config "$config")"
	files=$(tar -tzf "$layer" | LC_ALL=C sort | tr '\n' ' ')
	[ "$files" = "rrserve var/ var/lib/ var/lib/rrserve/ " ] || fail "$1: the image holds $files"
	tar -xzf "$layer" -C "$work" rrserve
	"$go" version -m "$work/rrserve" | awk '$1 == "build" { print $2 }' >"$work/settings"
	[ "$(sed -n 's/^GOOS=//p; s/^GOARCH=//p; s/^GOARM=/v/p' "$work/settings" | LC_ALL=C sort | tr '\n' ' ')" = \
		"$(tr / '\n' <<<"$1" | LC_ALL=C sort | tr '\n' ' ')" ] || fail "$1: the binary is of another platform"
	grep -qx CGO_ENABLED=0 "$work/settings" || fail "$1: the binary is not static"
	size=$(gzip -dc "$layer" | wc -c)
	[ "$size" -lt $max_size ] || fail "$1: the image has $size bytes, $max_size are too many"
	echo "ok: $1: $size bytes, $(stat -c %s "$layer") compressed"
}

go=${GO:-go} name=${1:?usage: packaging/image-index.sh NAME DIR} dir=${2:?usage: packaging/image-index.sh NAME DIR}
for tool in buildah jq sha256sum gzip; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah jq"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$dir"
mkdir -p "$(dirname "$dir")"

# In a store of its own, which is thrown away.
buildah() { command buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }
timestamp=$(git log -1 --format=%ct 2>/dev/null || date +%s)
buildah manifest create index >/dev/null
for platform in $platforms; do
	IFS=/ read -r GOOS GOARCH variant <<<"$platform"
	root=$work/$GOARCH/bin/image
	install -d -m 0755 "$root/root/var/lib"
	install -d -m 0700 "$root/state/rrserve"
	CGO_ENABLED=0 GOOS=$GOOS GOARCH=$GOARCH GOARM=${variant#v} "$go" build -trimpath -ldflags='-s -w' -o "$root/root/rrserve" ./cmd/rrserve
	chmod 0755 "$root/root/rrserve"
	buildah bud --quiet --format docker --isolation chroot --timestamp "$timestamp" --platform "$platform" --manifest index -f Dockerfile "$work/$GOARCH" >/dev/null
done
healthcheck=$(buildah inspect --type image "$(buildah images --quiet | head -n 1)" | jq -c .Docker.config.Healthcheck)
buildah manifest push --quiet --all index "oci:$dir:$name"
add_healthcheck "$healthcheck"

index=$(content "$(jq -c '.manifests[0]' "$dir/index.json")")
found=$(jq -r '.manifests[].platform | [.os, .architecture, .variant // empty] | join("/")' "$index" | tr '\n' ' ')
[ "$found" = "$platforms " ] || fail "the index has $found, want $platforms"
for blob in "$dir"/blobs/sha256/*; do
	[ "$(sha256sum <"$blob" | cut -d ' ' -f 1)" = "${blob##*/}" ] || fail "$blob is not what its name says"
done
for platform in $platforms; do
	check "$platform" "$(content "$(jq -c --arg p "$platform" '.manifests[] | select((.platform | [.os, .architecture, .variant // empty] | join("/")) == $p)' "$index")")"
done
echo "$dir: $(jq -r '.manifests[0].digest' "$dir/index.json")"
