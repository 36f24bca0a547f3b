#!/usr/bin/env bash
# Runs every fuzz target of the main module in turn. Usage: scripts/fuzz.sh [FUZZTIME]
# FUZZTIME is what go test -fuzztime takes: a duration for each target ("1m"), or a number of runs ("20000x", the
# default: the same work on every machine).
set -euo pipefail
cd "$(dirname "$0")/.."
time="${1:-20000x}"

count=0
while read -r package folder; do
	# Only test binaries that can hold one are built.
	grep -qsE '^func Fuzz[A-Z]' "$folder"/*_test.go || continue
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "--- $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null
		count=$((count + 1))
	done
done < <(go list -f '{{.ImportPath}} {{.Dir}}' ./...)
echo "fuzz targets run: $count"
