#!/bin/sh
# Writes dist/SHA256SUMS for what is released: sha256sum -c SHA256SUMS
set -eu
cd "$(dirname "$0")/../dist"
rm -f SHA256SUMS
find . -maxdepth 1 -type f -name 'rrserve*' | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
