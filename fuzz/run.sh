#!/bin/sh
# Runs every fuzz target for a time (10m) or a number of inputs (2000x), two
# targets at a time.
#
#   fuzz/run.sh TIME [CORPUS]
#
# What it finds interesting goes into the directory CORPUS and is where the next
# run begins; without CORPUS it begins with the seeds and keeps nothing. An input
# that fails is kept in fuzz/testdata/fuzz, where go test finds it too.
set -eu

[ $# -ge 1 ] || { echo "usage: fuzz/run.sh TIME [CORPUS]" >&2; exit 2; }
export time="$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export work corpus="${2:-$work/corpus}"

cd "$(dirname "$0")"
# Instrumented, and linked once for all targets.
go test -c -fuzz=. -o "$work/fuzz.test" .
"$work/fuzz.test" -test.list '^Fuzz' >"$work/targets"
[ -s "$work/targets" ] || { echo "fuzz/run.sh: no targets" >&2; exit 1; }

# A target that fails stops no other one, but fails xargs.
# shellcheck disable=SC2016
xargs -P 2 -n 1 sh -c '
	log=$work/$1.log status=0
	"$work/fuzz.test" -test.run="^\$" -test.fuzz="^$1\$" -test.fuzztime="$time" -test.fuzzminimizetime=1s \
		-test.fuzzcachedir="$corpus" -test.parallel=1 >"$log" 2>&1 || status=1
	# At the end of its time a run may fail without having found anything
	# (golang/go#75804, until Go 1.27).
	if grep -q "^    context deadline exceeded$" "$log" && ! grep -qE "Failing input|panic|hung or terminated" "$log"; then
		status=0
	fi
	case $status in
	0) last=$(grep execs: "$log" | tail -n 1) ;;
	*) last=$(cat "$log") ;;
	esac
	printf "%-20s %s\n" "$1" "$last"
	exit "$status"
' sh <"$work/targets"
